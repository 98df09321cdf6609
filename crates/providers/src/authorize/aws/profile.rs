//! Profiles of `~/.aws/credentials` and `~/.aws/config`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the two files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) credentials: PathBuf,
    pub(super) config: PathBuf,
}

/// What a profile says, both files together.
pub(super) type Profile = BTreeMap<String, String>;

// === impl Files ===

impl Files {
    /// Where the environment says they are, else in the home folder.
    pub(super) fn new(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let home = env("HOME").unwrap_or_default();
        let at = |variable: &str, file: &str| {
            env(variable).map_or_else(|| Path::new(&home).join(".aws").join(file), PathBuf::from)
        };
        Self {
            credentials: at("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
            config: at("AWS_CONFIG_FILE", "config"),
        }
    }

    /// What they say of a profile; empty where they do not know it. They are small, and hardly ever read.
    pub(super) fn profile(&self, name: &str) -> Profile {
        let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let headed = match name {
            "default" => name.to_owned(),
            _ => format!("profile {name}"),
        };
        let mut profile = section(&text(&self.config), &headed);
        // What both say, the file of credentials says.
        profile.extend(section(&text(&self.credentials), name));
        profile
    }
}

/// The settings under `[name]`. Indented lines are nested settings, which nobody here asks for.
fn section(text: &str, name: &str) -> Profile {
    let mut inside = false;
    let mut found = Profile::new();
    for line in text.lines() {
        let bare = line.trim();
        match bare.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((head, _)) => inside = head.split_whitespace().eq(name.split_whitespace()),
            None if !inside || bare.starts_with(['#', ';']) || line.starts_with([' ', '\t']) => {}
            None => {
                if let Some((key, value)) = bare.split_once('=') {
                    found.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let text = "[default]\nregion = eu-west-1\n# a = b\ns3 =\n  addressing = path\n[profile  dev]\nrole_arn=arn:x=y\n";
        assert_eq!(section(text, "default").get("region").map(String::as_str), Some("eu-west-1"));
        assert_eq!(section(text, "default").len(), 2);
        assert_eq!(section(text, "profile dev").get("role_arn").map(String::as_str), Some("arn:x=y"));
        assert!(section(text, "dev").is_empty());
    }
}
