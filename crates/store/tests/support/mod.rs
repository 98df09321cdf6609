//! The same test on both databases, and behind a pooler.

use std::sync::Arc;

use gatewright_core::{Secret, SystemClock};
use gatewright_store::{Place, Settings, Store};
use gatewright_tests::postgres::{Pooler, Postgres};
use tempfile::TempDir;

/// A database of one test's own.
pub(crate) enum Base {
    Sqlite(TempDir),
    Postgres(Postgres),
    Pooled(Pooler),
}

// === impl Base ===

impl Base {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(TempDir::new().unwrap())
    }

    pub(crate) fn postgres() -> Self {
        Self::Postgres(Postgres::start())
    }

    pub(crate) fn pooled() -> Self {
        Self::Pooled(Postgres::start().pooled())
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings::at(match self {
            Self::Sqlite(dir) => Place::Sqlite(dir.path().join("gatewright.db")),
            Self::Postgres(server) => Place::Postgres(Secret::from(server.url())),
            Self::Pooled(pooler) => Place::Postgres(Secret::from(pooler.url())),
        })
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(self.settings(), Arc::new(SystemClock)).await.unwrap()
    }
}

/// Makes three tests of one story.
macro_rules! on_all {
    ($($story:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $story() {
                super::$story($crate::support::Base::sqlite()).await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $story() {
                super::$story($crate::support::Base::postgres()).await;
            })+
        }

        mod pooled {
            $(#[tokio::test]
            async fn $story() {
                super::$story($crate::support::Base::pooled()).await;
            })+
        }
    };
}
pub(crate) use on_all;
