//! From names to addresses, remembered.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::failure::with_causes;
use crate::{Dns, Failure, FailureKind, SettingsError};

/// How long an answer of the machine's resolver is used: it does not say how long it holds.
const SYSTEM_LIFETIME: Duration = Duration::from_secs(10);
/// The longest that an answer is used without asking again.
const MAX_LIFETIME: Duration = Duration::from_secs(300);
/// How long the last good answer serves while the resolver fails.
const STALE: Duration = Duration::from_secs(3600);
/// How many names are remembered.
const MAX_NAMES: usize = 1024;

/// From names to addresses. A name is asked for once at a time, and its last good answer outlives a failing resolver.
pub(crate) struct Names {
    source: Source,
    known: Mutex<HashMap<Box<str>, Arc<Name>>>,
}

/// Who is asked.
pub(crate) enum Source {
    System,
    Hickory(Box<TokioResolver>),
    #[cfg(test)]
    Table(Table),
}

/// A resolver for tests: what it answers, and how often it was asked.
#[cfg(test)]
#[derive(Clone, Default)]
pub(crate) struct Table {
    pub(crate) answer: Arc<Mutex<Option<Vec<IpAddr>>>>,
    pub(crate) asked: Arc<std::sync::atomic::AtomicUsize>,
}

#[derive(Default)]
struct Name {
    answer: Mutex<Option<Answer>>,
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Answer {
    addresses: Arc<[IpAddr]>,
    fresh_until: Instant,
}

// === impl Names ===

impl Names {
    pub(crate) fn new(dns: Dns) -> Result<Self, SettingsError> {
        let source = match dns {
            Dns::System => Source::System,
            Dns::Hickory => {
                let broken = |error| SettingsError(with_causes(&error));
                let resolver = TokioResolver::builder_tokio().map_err(broken)?.build().map_err(broken)?;
                Source::Hickory(Box::new(resolver))
            }
        };
        Ok(Self::from_source(source))
    }

    pub(crate) fn from_source(source: Source) -> Self {
        Self { source, known: Mutex::default() }
    }

    /// The addresses of a host, in the order in which to try them. An address needs no resolver.
    pub(crate) async fn resolve(&self, host: &str) -> Result<Arc<[IpAddr]>, Failure> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Arc::new([address]));
        }
        let name = self.name(host);
        if let Some(addresses) = name.fresh() {
            return Ok(addresses);
        }
        let _asking = name.asking.lock().await;
        if let Some(addresses) = name.fresh() {
            return Ok(addresses);
        }
        match self.source.ask(host).await {
            Ok(answer) => {
                let addresses = answer.addresses.clone();
                *name.answer.lock() = Some(answer);
                Ok(addresses)
            }
            Err(failure) => name.stale().ok_or(failure),
        }
    }

    fn name(&self, host: &str) -> Arc<Name> {
        let mut known = self.known.lock();
        if let Some(name) = known.get(host) {
            return name.clone();
        }
        if known.len() >= MAX_NAMES {
            known.retain(|_, name| name.fresh().is_some());
        }
        if known.len() >= MAX_NAMES {
            known.clear();
        }
        known.entry(host.into()).or_default().clone()
    }
}

// === impl Name ===

impl Name {
    fn fresh(&self) -> Option<Arc<[IpAddr]>> {
        let answer = self.answer.lock();
        answer.as_ref().filter(|answer| Instant::now() < answer.fresh_until).map(|a| a.addresses.clone())
    }

    fn stale(&self) -> Option<Arc<[IpAddr]>> {
        let answer = self.answer.lock();
        answer.as_ref().filter(|a| Instant::now() < a.fresh_until + STALE).map(|a| a.addresses.clone())
    }
}

// === impl Source ===

impl Source {
    async fn ask(&self, host: &str) -> Result<Answer, Failure> {
        let now = Instant::now();
        let (addresses, lifetime) = match self {
            Self::System => {
                let found = tokio::net::lookup_host((host, 0)).await.map_err(|e| unknown(host, &e))?;
                (found.map(|address| address.ip()).collect::<Vec<_>>(), SYSTEM_LIFETIME)
            }
            Self::Hickory(resolver) => {
                let found = resolver.lookup_ip(host).await.map_err(|e| unknown(host, &e))?;
                let lifetime = Instant::from_std(found.valid_until()).saturating_duration_since(now);
                (found.iter().collect(), lifetime)
            }
            #[cfg(test)]
            Self::Table(table) => {
                table.asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                (table.answer.lock().clone().unwrap_or_default(), SYSTEM_LIFETIME)
            }
        };
        if addresses.is_empty() {
            return Err(unknown(host, &std::io::Error::other("no addresses")));
        }
        let fresh_until = now + lifetime.min(MAX_LIFETIME);
        Ok(Answer { addresses: in_turns(addresses).into(), fresh_until })
    }
}

/// The two families in turn, beginning with the resolver's favourite, so that one dead family costs one wait.
fn in_turns(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (favourite, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut other = other.into_iter();
    let mut turns = Vec::with_capacity(favourite.len() + other.len());
    for address in favourite {
        turns.push(address);
        turns.extend(other.next());
    }
    turns.extend(other);
    turns
}

fn unknown(host: &str, error: &dyn std::error::Error) -> Failure {
    Failure::unsent(FailureKind::Dns, format!("{host}: {}", with_causes(error)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    fn addresses(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns() {
        let given = addresses(&["2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        let wanted = addresses(&["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3"]);
        assert_eq!(in_turns(given), wanted);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_remembered_and_outlives_a_failing_resolver_for_a_while() {
        let table = Table::default();
        let names = Names::from_source(Source::Table(table.clone()));
        *table.answer.lock() = Some(addresses(&["192.0.2.1"]));
        let asked = || table.asked.load(Ordering::SeqCst);

        let (one, two) = tokio::join!(names.resolve("a.test"), names.resolve("a.test"));
        assert_eq!((one.unwrap(), asked()), (two.unwrap(), 1));

        *table.answer.lock() = None;
        tokio::time::advance(SYSTEM_LIFETIME + Duration::from_secs(1)).await;
        assert_eq!(names.resolve("a.test").await.unwrap()[..], addresses(&["192.0.2.1"])[..]);
        assert_eq!(asked(), 2);

        tokio::time::advance(STALE).await;
        assert_eq!(names.resolve("a.test").await.unwrap_err().kind, FailureKind::Dns);
    }

    #[tokio::test]
    async fn an_address_needs_no_resolver() {
        let names = Names::from_source(Source::Table(Table::default()));
        assert_eq!(names.resolve("::1").await.unwrap()[..], addresses(&["::1"])[..]);
    }

    #[tokio::test]
    async fn no_more_names_are_remembered_than_fit() {
        let names = Names::from_source(Source::Table(Table::default()));
        for n in 0..2 * MAX_NAMES {
            names.resolve(&format!("{n}.test")).await.unwrap_err();
        }
        assert!(names.known.lock().len() <= MAX_NAMES);
    }

    #[tokio::test]
    async fn both_resolvers_know_the_hosts_file() {
        for dns in [Dns::System, Dns::Hickory] {
            let found = Names::new(dns).unwrap().resolve("localhost").await.unwrap();
            assert!(found.iter().all(IpAddr::is_loopback), "{dns:?}: {found:?}");
        }
    }
}
