//! The cache of answers, as administrators ask for it.

use std::sync::Arc;

use gatewright_admin::{Answers, AnswersState, Waiting};
use gatewright_cache::similar::Similar;
use gatewright_cache::{Figures, Tiers};
use gatewright_core::{Error, ErrorKind, Result};

/// The cache of this gateway.
pub(crate) struct KeptAnswers {
    /// Where answers are kept, where they are.
    pub(crate) tiers: Option<Tiers>,
    pub(crate) figures: Arc<Figures>,
    /// What they are also kept in by what their questions mean, where they are.
    pub(crate) similar: Option<Similar>,
}

impl Answers for KeptAnswers {
    fn state(&self) -> Option<AnswersState> {
        let tiers = self.tiers.as_ref()?;
        let kind = if tiers.redis().is_some() { "redis" } else { "local" };
        let seen = self.figures.snapshot();
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
            match self.tiers.as_ref().and_then(Tiers::redis) {
                Some(redis) => redis.ping().await,
                None => Ok(()),
            }
        })
    }

    fn info(&self) -> Waiting<'_, Result<Option<(String, String)>>> {
        Box::pin(async {
            match self.tiers.as_ref().and_then(Tiers::redis) {
                Some(redis) => redis.info().await.map(Some),
                None => Ok(None),
            }
        })
    }

    fn forget(&self, keys: Vec<Arc<str>>) -> Waiting<'_, Result<u64>> {
        Box::pin(async move {
            if let Some(similar) = &self.similar {
                done(similar.forget(&keys).await)?;
            }
            match &self.tiers {
                Some(tiers) => tiers.forget(&keys).await,
                None => Ok(0),
            }
        })
    }

    fn clear(&self) -> Waiting<'_, Result<()>> {
        Box::pin(async {
            if let Some(similar) = &self.similar {
                done(similar.forget_all().await)?;
            }
            match &self.tiers {
                Some(tiers) => tiers.clear().await,
                None => Ok(()),
            }
        })
    }
}

fn done(forgotten: bool) -> Result<()> {
    match forgotten {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Unavailable, "the store of the semantic cache does not answer")),
    }
}
