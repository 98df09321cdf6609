//! Addresses as operators write them: a URL may carry a user's name and password.

/// An address as it may be shown: without its user, and without what stands behind its `?`.
pub fn shown_address(url: &str) -> String {
    without_user(url.split(['?', '#']).next().unwrap_or_default()).0
}

/// An address without its user, and that user (`name:password`) as it is written there.
pub fn without_user(url: &str) -> (String, Option<&str>) {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let Some((user, host)) = authority.rsplit_once('@') else { return (url.to_owned(), None) };
    let colon = if scheme.is_empty() { "" } else { "://" };
    (format!("{scheme}{colon}{host}{path}"), Some(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_shown_an_addresss_user() {
        for (url, shown, user) in [
            ("https://me:pass@host:8/v1?key=k", "https://host:8/v1", Some("me:pass")),
            ("http://me@host", "http://host", Some("me")),
            ("http://a@b:c@host/v1", "http://host/v1", Some("a@b:c")),
            ("me:pass@host/v1", "host/v1", Some("me:pass")),
            ("http://host/@cf/meta#x", "http://host/@cf/meta", None),
            ("http://host?a=b@c", "http://host", None),
            ("", "", None),
        ] {
            assert_eq!((shown_address(url).as_str(), without_user(url).1), (shown, user), "{url}");
        }
    }
}
