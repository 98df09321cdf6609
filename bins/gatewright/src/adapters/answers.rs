//! The cache of answers, as administrators ask for it and change it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use gatewright_admin::{Answers, AnswersState, CACHE_SETTINGS, Vault, Waiting, opened_cache_settings};
use gatewright_cache::Tiers;
use gatewright_core::{Error, ErrorKind, Result};
use gatewright_store::{Error as StoreError, Kind, News, Store};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tracing::{info, warn};

use crate::cache::{LiveAnswers, server};
use crate::changes::Follow;
use crate::config::{CacheReader, CacheSettings};

/// How long a Redis is waited for that an administrator has tried.
const PATIENCE: Duration = Duration::from_secs(5);

/// Settings of the cache that are kept in the database: read, decrypted, and put into force here.
pub(crate) struct StoredCache {
    store: Store,
    vault: Option<Vault>,
    answers: LiveAnswers,
    /// The settings of the database that are in force; `None` where those of the configuration are.
    in_force: Mutex<Option<Map<String, Value>>>,
    /// What the configuration says.
    configured: Option<Box<CacheSettings>>,
}

// === impl StoredCache ===

impl StoredCache {
    pub(crate) fn new(
        store: &Store,
        vault: Option<Vault>,
        answers: &LiveAnswers,
        configured: Option<Box<CacheSettings>>,
    ) -> Self {
        let (store, answers) = (store.clone(), answers.clone());
        Self { store, vault, answers, in_force: Mutex::default(), configured }
    }

    /// Puts what is stored into force, where it is another than is: what memory keeps is lost with every change.
    async fn reload(&self) -> std::result::Result<(), StoreError> {
        let row = self.store.objects(Kind::Setting).find(CACHE_SETTINGS).await?;
        let stored = row.map(|row| opened_cache_settings(self.vault.as_ref(), &row.draft.fields));
        let stored = match stored.transpose() {
            Ok(stored) => stored,
            Err(err) => {
                warn!(error = %err, "the stored settings of the cache cannot be read; it stays as it is");
                return Ok(());
            }
        };
        let mut in_force = self.in_force.lock();
        if *in_force == stored {
            return Ok(());
        }
        match self.put(stored.as_ref()) {
            Ok(()) => {
                info!("the cache has other settings now, and begins anew");
                *in_force = stored;
            }
            Err(why) => {
                warn!(why, "the stored settings of the cache cannot be put into force; it stays as it is")
            }
        }
        Ok(())
    }

    fn put(&self, stored: Option<&Map<String, Value>>) -> std::result::Result<(), String> {
        let read =
            stored.map(|stored| self.answers.reader().read(stored, &**self.answers.env())).transpose()?;
        let settings = read.as_ref().or(self.configured.as_deref());
        self.answers.put(settings).map_err(|err| err.to_string())
    }
}

impl Follow for StoredCache {
    fn hear<'a>(&'a self, news: &'a News) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async move {
            let concerned = match news {
                News::Anything => true,
                News::Changes(changes) => changes.iter().any(|change| change.kind == Kind::Setting),
            };
            if !concerned {
                return true;
            }
            let read = self.reload().await;
            if let Err(err) = &read {
                warn!(error = %err, "the stored settings of the cache cannot be read; they are read again");
            }
            read.is_ok()
        })
    }
}

impl Answers for LiveAnswers {
    fn state(&self) -> Option<AnswersState> {
        let (kept, figures) = (self.kept(), self.figures()?);
        let kind = if kept.tiers.as_ref()?.redis().is_some() { "redis" } else { "local" };
        let seen = figures.snapshot();
        let figures = vec![
            ("hits", seen.hits),
            ("misses", seen.misses),
            ("joined", seen.joined),
            ("kept", seen.kept),
            ("too_large", seen.too_large),
            ("unreadable", seen.unreadable),
            ("unwritten", seen.unwritten),
            ("late", seen.late),
            ("saved_nano_dollars", u64::try_from(seen.saved.0).unwrap_or(0)),
        ];
        Some(AnswersState { kind, figures })
    }

    fn ping(&self) -> Waiting<'_, Result<()>> {
        Box::pin(async {
            match self.kept().tiers.as_ref().and_then(Tiers::redis) {
                Some(redis) => redis.ping().await,
                None => Ok(()),
            }
        })
    }

    fn info(&self) -> Waiting<'_, Result<Option<(String, String)>>> {
        Box::pin(async {
            match self.kept().tiers.as_ref().and_then(Tiers::redis) {
                Some(redis) => redis.info().await.map(Some),
                None => Ok(None),
            }
        })
    }

    fn forget(&self, keys: Vec<Arc<str>>) -> Waiting<'_, Result<u64>> {
        Box::pin(async move {
            let kept = self.kept();
            if let Some(similar) = &kept.similar {
                done(similar.forget(&keys).await)?;
            }
            match &kept.tiers {
                Some(tiers) => tiers.forget(&keys).await,
                None => Ok(0),
            }
        })
    }

    fn clear(&self) -> Waiting<'_, Result<()>> {
        Box::pin(async {
            let kept = self.kept();
            if let Some(similar) = &kept.similar {
                done(similar.forget_all().await)?;
            }
            match &kept.tiers {
                Some(tiers) => tiers.clear().await,
                None => Ok(()),
            }
        })
    }

    fn configured(&self) -> Map<String, Value> {
        self.reader().configured().clone()
    }

    fn check(&self, settings: &Map<String, Value>) -> std::result::Result<Vec<String>, String> {
        let read = self.reader().read(settings, &**self.env())?;
        LiveAnswers::check(self, &read).map_err(|err| err.to_string())?;
        Ok(CacheReader::unknown(settings))
    }

    fn reach<'a>(&'a self, settings: &'a Map<String, Value>) -> Waiting<'a, std::result::Result<(), String>> {
        Box::pin(async move {
            let read = self.reader().read(settings, &**self.env())?;
            let Some(redis) = read.redis else {
                return Err("only a Redis can be tried, and none is named".to_owned());
            };
            let server = server(&redis.place).map_err(|err| err.to_string())?;
            server.try_out(PATIENCE).await
        })
    }
}

fn done(forgotten: bool) -> Result<()> {
    match forgotten {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Unavailable, "the store of the semantic cache does not answer")),
    }
}
