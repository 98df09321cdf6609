//! A multipart form: what uploads come in.

use std::fmt::Write as _;

use bytes::Bytes;

/// The fields of a form, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// The fields.
    pub fields: Vec<FormField>,
}

/// One field of a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormField {
    /// Its name; several may share one.
    pub name: String,
    /// The name of the file that it is, where it is one.
    pub file_name: Option<String>,
    /// What kind of file.
    pub content_type: Option<String>,
    /// What is in it.
    pub data: Bytes,
}

// === impl Form ===

impl Form {
    /// The value of a field that is no file.
    pub fn text(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|field| field.name == name && field.file_name.is_none())?;
        std::str::from_utf8(&field.data).ok()
    }

    /// Whether it has a field of this name, or a list of them (`image[]`).
    pub fn has_any(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name.strip_suffix("[]").unwrap_or(&field.name) == name)
    }

    /// The form with its files, and of the other fields those whose names are kept.
    #[must_use]
    pub fn keeping(mut self, kept: impl Fn(&str) -> bool) -> Self {
        self.fields.retain(|field| field.file_name.is_some() || kept(&field.name));
        self
    }

    /// Sets a field to a text, in its old place or at the end.
    pub fn set_text(&mut self, name: &str, value: &str) {
        let field = FormField {
            name: name.to_owned(),
            data: Bytes::copy_from_slice(value.as_bytes()),
            ..FormField::default()
        };
        match self.fields.iter_mut().find(|field| field.name == name) {
            Some(old) => *old = field,
            None => self.fields.push(field),
        }
    }

    /// All that is said in it beside its files.
    pub fn texts(&self) -> Vec<u8> {
        let texts = self.fields.iter().filter(|field| field.file_name.is_none());
        texts.flat_map(|field| field.data.iter().copied().chain(*b"\n")).collect()
    }

    /// How many bytes its files have together.
    pub fn file_bytes(&self) -> u64 {
        let files = self.fields.iter().filter(|field| field.file_name.is_some());
        files.map(|field| field.data.len() as u64).sum()
    }

    /// The form as a body with this boundary, in pieces. Files are not copied.
    pub fn pieces(&self, boundary: &str) -> Vec<Bytes> {
        let mut pieces = Vec::with_capacity(self.fields.len() * 2 + 1);
        let mut between = String::new();
        for field in &self.fields {
            let _ = write!(
                between,
                "--{boundary}\r\ncontent-disposition: form-data; name=\"{}\"",
                quoted(&field.name)
            );
            if let Some(file) = &field.file_name {
                let _ = write!(between, "; filename=\"{}\"", quoted(file));
            }
            if let Some(kind) = &field.content_type {
                let _ = write!(between, "\r\ncontent-type: {kind}");
            }
            between.push_str("\r\n\r\n");
            pieces.push(std::mem::take(&mut between).into());
            pieces.push(field.data.clone());
            between.push_str("\r\n");
        }
        let _ = write!(between, "--{boundary}--\r\n");
        pieces.push(between.into());
        pieces
    }
}

/// As browsers quote names: what would end them is percent-encoded (HTML, "multipart/form-data encoding algorithm").
fn quoted(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        let mut form = Form::default();
        form.set_text("a\"\r\nx: y", "1");
        let body = form.pieces("b").concat();
        let text = String::from_utf8(body).unwrap();
        assert_eq!(
            text,
            "--b\r\ncontent-disposition: form-data; name=\"a%22%0D%0Ax: y\"\r\n\r\n1\r\n--b--\r\n"
        );
    }
}
