//! Pages of lists, as clients count them.

use gatewright_store::{Order, Query};
use serde_json::Value;

use crate::ask::Ask;
use crate::failure::{Failure, Result};

/// The most rows of a page.
const MOST: u64 = 500;

/// Which page, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) number: u64,
    pub(crate) size: u64,
}

// === impl Page ===

impl Page {
    /// Reads `page` and the parameter that has its size.
    pub(crate) fn read(ask: &Ask, size: &str, default: u64) -> Result<Self> {
        Self::read_up_to(ask, size, default, MOST)
    }

    /// The same where a page may be longer, or not as long.
    pub(crate) fn read_up_to(ask: &Ask, size: &str, default: u64, most: u64) -> Result<Self> {
        let count = |name: &str, default: u64| match ask.param(name).map(str::parse::<u64>) {
            None => Ok(default),
            Some(Ok(number)) if number > 0 => Ok(number),
            Some(_) => {
                let words = ("int_parsing", "Input should be a valid integer greater than or equal to 1");
                let mut failure = Failure::form(&[name.into()], words, &Value::from(ask.param(name)));
                failure.body["detail"][0]["loc"][0] = "query".into();
                Err(failure)
            }
        };
        Ok(Self { number: count("page", 1)?, size: count(size, default)?.min(most) })
    }

    /// The rows before this page.
    pub(crate) fn skip(self) -> u64 {
        (self.number - 1).saturating_mul(self.size)
    }

    /// The rows of this page, the newest first.
    pub(crate) fn query(self) -> Query {
        Query { order: Order::Newest, skip: self.skip(), limit: self.size, ..Query::default() }
    }

    /// How many pages so many rows are.
    pub(crate) fn of(self, total: u64) -> u64 {
        total.div_ceil(self.size)
    }
}
