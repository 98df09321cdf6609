//! What dialects with pictures of their own share: which of a request they carry, and what form a picture has.

use gatewright_core::{Error, ErrorKind, ImageRequest, Losses};

/// A ratio that differs by less from what was asked is that ratio: pixels come in steps of eight and more.
const ALIKE: f64 = 0.03;

/// Tells of what no such dialect carries, or what does not change what it does anyway. `carried` is carried all the same.
pub(crate) fn lose(asked: &ImageRequest, carried: &[&str], losses: &mut Losses) {
    let said = |field: &Option<String>, nothing: &[&str]| {
        field.as_deref().is_some_and(|word| !word.is_empty() && !nothing.contains(&word))
    };
    let lost = [
        ("quality", said(&asked.quality, &["auto", "standard"])),
        ("style", said(&asked.style, &[])),
        ("background", said(&asked.background, &["auto", "opaque"])),
        ("output_format", said(&asked.output_format, &["png"])),
        ("output_compression", asked.output_compression.is_some_and(|percent| percent < 100)),
        ("user", said(&asked.user, &[])),
        // Bytes are answered to who wants an address: nobody keeps the picture.
        ("response_format.url", said(&asked.response_format, &["b64_json"])),
    ];
    for (field, lost) in lost {
        losses.add_if(lost && !carried.contains(&field), field);
    }
}

/// The ratio that comes nearest to the size that is asked for; a difference that would be seen is told.
pub(crate) fn ratio(
    asked: &ImageRequest,
    offered: &[&'static str],
    losses: &mut Losses,
) -> Option<&'static str> {
    let size = asked.size.as_deref().filter(|size| !matches!(*size, "" | "auto"))?;
    let Some((width, height)) = asked.dimensions() else {
        let own = offered.iter().find(|own| **own == size).copied();
        losses.add_if(own.is_none(), "size");
        return own;
    };
    let wanted = (f64::from(width) / f64::from(height)).ln();
    let distance = |ratio: &str| (value(ratio).ln() - wanted).abs();
    let nearest = offered.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    losses.add_if(distance(nearest) > ALIKE, "size.ratio");
    Some(nearest)
}

/// `16:9` as a number.
fn value(ratio: &str) -> f64 {
    let sides = ratio.split_once(':').and_then(|(width, height)| width.parse().ok().zip(height.parse().ok()));
    sides.map_or(1.0, |(width, height): (f64, f64)| width / height)
}

/// The longer side that is asked for, in pixels.
pub(crate) fn longest(asked: &ImageRequest) -> Option<u32> {
    asked.dimensions().map(|(width, height)| width.max(height))
}

/// No picture, because the provider would not show it.
pub(crate) fn filtered(why: &str) -> Error {
    Error::new(ErrorKind::ContentPolicy, format!("no picture was made: {why}"))
}

/// A model that has no such thing.
pub(crate) fn unsupported(model: &str, what: &str, param: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("'{model}' {what}")).with_param(param)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: [&str; 5] = ["1:1", "3:4", "4:3", "9:16", "16:9"];

    #[test]
    fn a_size_becomes_the_nearest_ratio_and_what_differs_is_told() {
        for (size, want, lost) in [
            (None, None, None),
            (Some("auto"), None, None),
            (Some("1024x1024"), Some("1:1"), None),
            (Some("1792x1024"), Some("16:9"), None),
            (Some("1024x1792"), Some("9:16"), None),
            (Some("1280x896"), Some("4:3"), Some("size.ratio")),
            (Some("1536x1024"), Some("4:3"), Some("size.ratio")),
            (Some("16:9"), Some("16:9"), None),
            (Some("large"), None, Some("size")),
        ] {
            let asked = ImageRequest { size: size.map(str::to_owned), ..ImageRequest::default() };
            let mut losses = Losses::default();
            assert_eq!(ratio(&asked, &OFFERED, &mut losses), want, "{size:?}");
            assert_eq!(losses.into_fields(), lost.into_iter().collect::<Vec<_>>(), "{size:?}");
        }
    }

    #[test]
    fn what_says_nothing_is_not_lost() {
        let text = |word: &str| Some(word.to_owned());
        let asked = ImageRequest {
            quality: text("standard"),
            background: text("auto"),
            output_format: text("png"),
            response_format: text("b64_json"),
            ..ImageRequest::default()
        };
        let mut losses = Losses::default();
        lose(&asked, &[], &mut losses);
        assert_eq!(losses, Losses::default());
        let asked = ImageRequest {
            quality: text("hd"),
            style: text("vivid"),
            background: text("transparent"),
            response_format: text("url"),
            user: text("u"),
            ..ImageRequest::default()
        };
        lose(&asked, &["quality"], &mut losses);
        assert_eq!(losses.into_fields(), ["style", "background", "user", "response_format.url"]);
    }
}
