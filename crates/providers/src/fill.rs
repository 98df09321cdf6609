//! Addresses of a provider's row with the deployment's values put in.

use std::borrow::Cow;

use gatewright_catalogue::ProviderRow;
use gatewright_core::{Error, ErrorKind, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{Params, custom};

/// What stands for itself in a segment of a path (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Puts values into `{braces}`: the model's name, and the variables of the provider's row.
pub(crate) struct Fill<'a> {
    row: &'a ProviderRow,
    params: &'a Params,
    model: String,
    env: &'a dyn Fn(&str) -> Option<String>,
}

// === impl Fill ===

impl<'a> Fill<'a> {
    pub(crate) fn new(
        row: &'a ProviderRow,
        params: &'a Params,
        model: &str,
        env: &'a dyn Fn(&str) -> Option<String>,
    ) -> Self {
        Self { row, params, model: utf8_percent_encode(model, SEGMENT).to_string(), env }
    }

    /// The model's name as a segment of a path.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// `template` with every value put in; fails where nobody says one.
    pub(crate) fn fill(&self, template: &str) -> Result<String> {
        let mut filled = String::with_capacity(template.len() + self.model.len());
        let mut rest = template;
        while let Some((before, inside)) = rest.split_once('{') {
            let Some((name, after)) = inside.split_once('}') else { break };
            filled.push_str(before);
            filled.push_str(&self.value(name)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// The value of a variable: the deployment's before the environment's before the row's, before what follows from
    /// others.
    pub(crate) fn value(&self, name: &str) -> Result<Cow<'_, str>> {
        if name == "model" {
            return Ok(Cow::Borrowed(&self.model));
        }
        let known = self.known(name);
        let known = known.or_else(|| custom::value(&self.row.id, name, &|name| self.known(name)));
        known.map(Cow::Owned).ok_or_else(|| {
            let words = format!("provider '{}' needs {name}", self.row.id);
            Error::new(ErrorKind::InvalidRequest, words)
        })
    }

    /// What is said of a variable.
    pub(crate) fn known(&self, name: &str) -> Option<String> {
        let variable = self.row.variables.get(name);
        let params =
            variable.map(|variable| variable.params.iter()).into_iter().flatten().map(String::as_str);
        let told = [name].into_iter().chain(params).find_map(|name| self.params.access.get(name));
        let told = told.map(|told| told.reveal().to_owned());
        let from_env = || variable.and_then(|variable| first(&variable.env, self.env));
        told.or_else(from_env).or_else(|| variable?.default.clone())
    }
}

/// The first of these environment variables that says something.
pub(crate) fn first(names: &[String], env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    names.iter().find_map(|name| env(name).filter(|value| !value.is_empty()))
}
