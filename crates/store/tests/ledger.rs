//! The ledger in a real database: every attempt counts once, in everything, whatever is sent how often.
#![cfg(test)]

mod support;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use gatewright_core::{AttemptId, CallId, Clock, Money, SystemClock, Usage};
use gatewright_spend::{
    Applied, Batch, Begin, Certainty, Ending, Entry, InstanceId, Ledger, Position, Receipt, Spared, State,
    Tenant,
};
use gatewright_store::{
    Dimension, EntryQuery, PageQuery, Rank, ReportQuery, RollupQuery, Scope, Settings, Step, Store, Sums,
    member_id,
};
use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};
use support::{Base, on_all};

on_all!(
    an_entry_comes_back_as_it_was_written,
    an_attempt_counts_once_however_often_it_is_sent,
    replicas_that_send_the_same_at_the_same_time_count_it_once,
    balances_are_the_sums_of_entries,
    a_budgets_time_counts_what_began_in_it,
    a_key_was_active_when_its_last_attempt_began,
    entries_of_days_that_are_gone_are_refused,
    positions_are_kept_with_the_entries,
    reports_tell_the_sums_page_by_page,
    every_sheet_says_what_the_rollups_say,
    a_page_of_entries_is_found_by_the_sums_of_its_days,
    an_entry_is_found_by_any_of_its_ids,
    a_calls_attempts_are_found_whenever_they_began,
    an_entry_is_short,
);

/// A small generator, so that a run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn name(&mut self, kind: &str, count: u64) -> Option<Arc<str>> {
        let number = self.below(count + 1);
        (number > 0).then(|| format!("{kind}-{number}").into())
    }
}

/// An attempt of all that can be in one, made so many seconds ago.
fn entry(random: &mut Random, ago: u64) -> Entry {
    let made = SystemClock.wall().duration_since(UNIX_EPOCH).unwrap() - Duration::from_secs(ago);
    let mut id = AttemptId::fresh().to_bytes();
    let millis = u64::try_from(made.as_millis()).unwrap().to_be_bytes();
    id[..6].copy_from_slice(&millis[2..]);
    let cost = Money(i64::try_from(random.below(1_000_000)).unwrap());
    let state = match random.below(4) {
        0 => Ending::Complete,
        1 => Ending::Failed { kind: "Timeout".into(), status: 400 + random.below(200) as u16 },
        2 => Ending::Abandoned,
        _ => Ending::Interrupted,
    };
    let exact = random.below(2) == 0;
    let bound = if exact { cost } else { Money(cost.0 + 7) };
    Entry {
        begin: Begin {
            attempt: AttemptId::from_bytes(id),
            call: CallId::fresh(),
            caller: random.name("key", 5).unwrap_or_else(|| "master".into()),
            tenant: Tenant {
                team: random.name("team", 3),
                user: random.name("user", 4),
                organization: random.name("organization", 2),
                project: random.name("project", 2),
                customer: random.name("customer", 9),
                trace: random.name("trace", 99),
                tags: [random.name("a", 2), random.name("b", 2)].into_iter().flatten().collect(),
            },
            group: random.name("group", 3).unwrap_or_else(|| "fast".into()),
            deployment: random.name("deployment", 2).unwrap_or_else(|| "deployment".into()),
            provider: random.name("provider", 2).unwrap_or_else(|| "openai".into()),
            model: random.name("model", 2).unwrap_or_else(|| "gpt-4o-mini".into()),
            started: u64::try_from(made.as_micros()).unwrap(),
            input_estimate: 0,
            output_cap: 0,
            floor: Money::ZERO,
            bound,
            spared: random.name("spared", 2).map(|key| Spared {
                key,
                saved: Money(i64::try_from(random.below(1_000)).unwrap()),
                whole: random.below(2) == 0,
            }),
        },
        state: State::Ended(state),
        certainty: if exact { Certainty::Exact } else { Certainty::Estimated },
        usage: Usage {
            input: random.below(100_000),
            output: random.below(4_000),
            cache_read: random.below(3) * 1000,
            cache_write_5m: random.below(3) * 55,
            cache_write_1h: random.below(2) * 77,
            reasoning: random.below(2) * 500,
            audio_input: random.below(3) * 31,
            audio_output: random.below(3) * 37,
            image_input: random.below(3) * 41,
            image_output: random.below(3) * 43,
            web_searches: random.below(2),
            search_units: 0,
            images: random.below(8) / 7,
            audio_millis: 0,
            characters: 0,
            unbilled_input: 0,
            unbilled_output: 0,
            cache_in_input: random.below(2) == 0,
            reported_cost: (random.below(3) == 0).then(|| Money(-5 - random.below(9) as i64)),
        },
        cost,
        bound,
        first_content: (random.below(2) == 0).then(|| Duration::from_millis(412 + random.below(99))),
        duration: (random.below(5) > 0).then(|| Duration::from_millis(5120 + random.below(999))),
        response: random.name("chatcmpl", 999),
    }
}

fn some(count: usize, seed: u64) -> Vec<Entry> {
    let mut random = Random(seed);
    (0..count).map(|n| entry(&mut random, 60 + n as u64)).collect()
}

fn batch(entries: &[Entry]) -> Batch {
    let here = Position { segment: 3, offset: 4 };
    Batch {
        entries: entries.to_vec(),
        applied: vec![(InstanceId::fresh(), Applied { whole: here, read: here })],
    }
}

async fn everything(store: &Store) -> Vec<Entry> {
    store.entries(&EntryQuery { limit: 100_000, ..EntryQuery::default() }).await.unwrap()
}

/// A report of all days.
fn report(filters: Vec<(Dimension, String)>, by: Vec<Dimension>, limit: u64) -> ReportQuery {
    ReportQuery { days: 0..=u32::MAX, filters, by, order: Rank::Place, after: None, limit }
}

/// The sums of everything in the ledger.
async fn sums(store: &Store) -> Sums {
    let query = report(vec![], vec![], 10);
    store.report(&query).await.unwrap()[0].sums
}

fn summed(entries: &[Entry]) -> Sums {
    let mut sums = Sums::default();
    for entry in entries {
        match entry.state {
            State::Ended(Ending::Complete) => sums.succeeded += 1,
            _ => sums.failed += 1,
        }
        sums.input += i64::try_from(entry.usage.total_input()).unwrap();
        sums.output += i64::try_from(entry.usage.output).unwrap();
        sums.cache_read += i64::try_from(entry.usage.cache_read).unwrap();
        sums.cache_write += i64::try_from(entry.usage.cache_write()).unwrap();
        sums.reasoning += i64::try_from(entry.usage.reasoning).unwrap();
        sums.cost += entry.cost;
        if let Some(spared) = &entry.begin.spared {
            // A failure that was shared is no answer of the cache's.
            if spared.whole && !matches!(entry.state, State::Ended(Ending::Failed { .. })) {
                sums.hits += 1;
                sums.hit_output += i64::try_from(entry.usage.output).unwrap();
            }
            if entry.state == State::Ended(Ending::Complete) {
                sums.saved += spared.saved;
            }
        }
    }
    sums
}

/// Entries, balances and sums say the same as these entries.
async fn check(store: &Store, entries: &[Entry]) {
    let kept = everything(store).await;
    assert_eq!(kept.len(), entries.len());
    let by_id: HashMap<AttemptId, &Entry> =
        entries.iter().map(|entry| (entry.begin.attempt, entry)).collect();
    assert!(kept.iter().all(|entry| by_id[&entry.begin.attempt] == entry), "as they were written");
    assert_eq!(sums(store).await, summed(entries));
    let mut want: BTreeMap<(Scope, Arc<str>), Money> = BTreeMap::new();
    for entry in entries {
        let (begin, tenant) = (&entry.begin, &entry.begin.tenant);
        let of_model = |id: &Arc<str>| Arc::from(format!("{id}:{}", begin.group));
        let member =
            tenant.user.as_ref().zip(tenant.team.as_ref()).map(|(user, team)| member_id(user, team).into());
        let ids = [
            (Scope::Key, Some(begin.caller.clone())),
            (Scope::Team, tenant.team.clone()),
            (Scope::User, tenant.user.clone()),
            (Scope::Member, member),
            (Scope::Project, tenant.project.clone()),
            (Scope::Organization, tenant.organization.clone()),
            (Scope::Customer, tenant.customer.clone()),
            (Scope::KeyModel, Some(of_model(&begin.caller))),
            (Scope::TeamModel, tenant.team.as_ref().map(of_model)),
            (Scope::UserModel, tenant.user.as_ref().map(of_model)),
            (Scope::CustomerModel, tenant.customer.as_ref().map(of_model)),
            (Scope::ProjectModel, tenant.project.as_ref().map(of_model)),
            (Scope::OrganizationModel, tenant.organization.as_ref().map(of_model)),
            (Scope::Proxy, Some("proxy".into())),
            (Scope::Provider, Some(begin.provider.clone())),
            (Scope::Deployment, Some(begin.deployment.clone())),
        ];
        let tags = tenant.tags.iter().map(|tag| (Scope::Tag, Some(tag.clone())));
        for (scope, id) in ids.into_iter().chain(tags) {
            let Some(id) = id else { continue };
            *want.entry((scope, id)).or_default() += entry.cost;
        }
    }
    let whose: Vec<_> = want.keys().cloned().collect();
    let found = store.balances().of_many(&whose).await.unwrap();
    let found: BTreeMap<_, _> = found.into_iter().map(|row| ((row.scope, row.id), row.total)).collect();
    assert_eq!(found, want);
}

/// Whatever is in it: every field of [`entry`] is another in every entry.
async fn an_entry_comes_back_as_it_was_written(base: Base) {
    let store = base.open().await;
    let mut all = some(300, 1);
    all[0].begin.tenant.team = Some("nul\0team".into());
    all[0].begin.tenant.trace = Some("nul\0trace".into());
    store.apply(&batch(&all)).await.unwrap();
    all[0].begin.tenant.team = Some("nul\u{fffd}team".into());
    all[0].begin.tenant.trace = Some("nul\u{fffd}trace".into());
    check(&store, &all).await;
    let one = &all[7];
    let query = EntryQuery { call: Some(one.begin.call), limit: 5, ..EntryQuery::default() };
    assert_eq!(store.entries(&query).await.unwrap(), std::slice::from_ref(one));
    for (dimension, name) in [
        (Dimension::Caller, "key-2"),
        (Dimension::Team, "team-1"),
        (Dimension::Team, ""),
        (Dimension::Group, "group-1"),
        (Dimension::Customer, "nobody"),
    ] {
        let query =
            EntryQuery { filters: vec![(dimension, name.into())], limit: 999, ..EntryQuery::default() };
        let found = store.entries(&query).await.unwrap();
        let of = |entry: &&Entry| match dimension {
            Dimension::Caller => &*entry.begin.caller == name,
            Dimension::Team => entry.begin.tenant.team.as_deref().unwrap_or_default() == name,
            Dimension::Group => &*entry.begin.group == name,
            _ => entry.begin.tenant.customer.as_deref() == Some(name),
        };
        assert_eq!(found.len(), all.iter().filter(of).count(), "{dimension:?} {name}");
    }
    let newest = EntryQuery { limit: 100, ..EntryQuery::default() };
    let first = store.entries(&newest).await.unwrap();
    let next = EntryQuery { before: Some(first[99].begin.attempt), ..newest };
    let second = store.entries(&next).await.unwrap();
    assert!(first.iter().chain(&second).is_sorted_by(|a, b| a.begin.attempt > b.begin.attempt));
    let since = UNIX_EPOCH + Duration::from_micros(first[99].begin.started / 1000 * 1000);
    let query = EntryQuery { since: Some(since), limit: 999, ..EntryQuery::default() };
    assert_eq!(store.entries(&query).await.unwrap(), first);
}

async fn an_attempt_counts_once_however_often_it_is_sent(base: Base) {
    let store = base.open().await;
    let all = some(500, 2);
    let receipt = |inserted, known| Receipt { inserted, known, refused: 0 };
    assert_eq!(store.apply(&batch(&all[..300])).await.unwrap(), receipt(300, 0));
    assert_eq!(store.apply(&batch(&all[..300])).await.unwrap(), receipt(0, 300));
    assert_eq!(store.apply(&batch(&all[200..])).await.unwrap(), receipt(200, 100));
    let twice = [&all[..2], &all[..2]].concat();
    assert_eq!(store.apply(&batch(&twice)).await.unwrap(), receipt(0, 4));
    check(&store, &all).await;
}

async fn replicas_that_send_the_same_at_the_same_time_count_it_once(base: Base) {
    let replicas = [base.open().await, base.open().await, base.open().await];
    let all = some(600, 3);
    let sent = replicas.iter().enumerate().map(|(n, store)| {
        let mut mine: Vec<Entry> = all.clone();
        mine.rotate_left(n * 130);
        async move {
            for part in mine.chunks(97) {
                // A deadlock that the database breaks is told as such, and tried again.
                while let Err(err) = store.apply(&batch(part)).await {
                    assert!(err.to_string().contains("is away"), "{err}");
                }
            }
        }
    });
    join_all(sent).await;
    check(&replicas[0], &all).await;
}

async fn balances_are_the_sums_of_entries(base: Base) {
    let store = base.open().await;
    let mut random = Random(4);
    let all = some(800, 5);
    let mut sent = 0;
    while sent < all.len() {
        let from = sent.saturating_sub(random.below(40) as usize);
        let to = (sent + 1 + random.below(90) as usize).min(all.len());
        store.apply(&batch(&all[from..to])).await.unwrap();
        sent = to;
    }
    check(&store, &all).await;
}

async fn a_budgets_time_counts_what_began_in_it(base: Base) {
    let store = base.open().await;
    let balances = store.balances();
    let mut random = Random(6);
    let now = SystemClock.wall();
    let hour = Duration::from_secs(3600);
    // Micros, as they are kept.
    let whole = |at: SystemTime| {
        UNIX_EPOCH + Duration::from_micros(at.duration_since(UNIX_EPOCH).unwrap().as_micros() as u64)
    };
    let end = whole(now - hour);
    let mut paid = |ago: u64, cost: i64| Entry {
        cost: Money(cost),
        begin: Begin { caller: "k".into(), ..entry(&mut random, ago).begin },
        ..entry(&mut random, ago)
    };
    // A row that began to count at the start of time and whose time ended an hour ago.
    store.apply(&batch(&[paid(7300, 1)])).await.unwrap();
    balances.watch(Scope::Key, "k", "", Some(end)).await.unwrap();
    store.apply(&batch(&[paid(7200, 10), paid(60, 100), paid(50, 1000)])).await.unwrap();
    let row = balances.of(Scope::Key, "k").await.unwrap().remove(0);
    assert_eq!((row.spent, row.total, row.ends_at), (Money(11), Money(1111), Some(end)));
    assert_eq!(balances.ended(10).await.unwrap(), std::slice::from_ref(&row));
    let next = whole(now + hour);
    assert!(balances.roll(&row, next).await.unwrap());
    assert!(!balances.roll(&row, next).await.unwrap(), "the other replica was faster");
    let row = balances.of(Scope::Key, "k").await.unwrap().remove(0);
    assert_eq!((row.spent, row.total, row.ends_at), (Money(1100), Money(1111), Some(next)));
    assert_eq!(balances.ended(10).await.unwrap(), []);
    // What began before the time that runs arrives late: it is not spent in it.
    store.apply(&batch(&[paid(7100, 10_000), paid(10, 100_000)])).await.unwrap();
    let row = balances.of(Scope::Key, "k").await.unwrap().remove(0);
    assert_eq!((row.spent, row.total), (Money(101_100), Money(111_111)));
    // A second budget counts from when it is watched.
    balances.watch(Scope::Key, "k", "1d", Some(next)).await.unwrap();
    store.apply(&batch(&[paid(20, 1_000_000)])).await.unwrap();
    let rows = balances.of(Scope::Key, "k").await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (&*row.period, row.spent, row.total)).collect();
    assert_eq!(told, [("", Money(1_101_100), Money(1_111_111)), ("1d", Money::ZERO, Money(1_000_000))]);
    let set = |id: &str, to: i64| Step::Spend { scope: Scope::Key, id: id.into(), to: Money(to) };
    store.together(vec![set("k", 900_000)], "me").await.unwrap();
    let rows = balances.of(Scope::Key, "k").await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| row.spent).collect();
    assert_eq!(told, [Money(900_000), Money::ZERO], "further times keep less");
    store.together(vec![set("k", 5)], "me").await.unwrap();
    balances.forget(Scope::Key, "k", "1d").await.unwrap();
    let rows = balances.of(Scope::Key, "k").await.unwrap();
    assert_eq!((rows.len(), rows[0].spent, rows[0].total), (1, Money(5), Money(1_111_111)));
}

async fn a_key_was_active_when_its_last_attempt_began(base: Base) {
    let store = base.open().await;
    let mut random = Random(9);
    let mut of = |key: &str, ago: u64, cost: i64| Entry {
        cost: Money(cost),
        begin: Begin { caller: key.into(), ..entry(&mut random, ago).begin },
        ..entry(&mut random, ago)
    };
    let (early, late, free) = (of("k", 90, 5), of("k", 30, 5), of("free", 60, 0));
    let began = |entry: &Entry| Some(UNIX_EPOCH + Duration::from_micros(entry.begin.started));
    // They may arrive in any order.
    for (all, last) in [(vec![late.clone(), free.clone()], &late), (vec![early], &late)] {
        store.apply(&batch(&all)).await.unwrap();
        let row = store.balances().of(Scope::Key, "k").await.unwrap().remove(0);
        assert_eq!(row.last_active, began(last));
    }
    let row = store.balances().of(Scope::Key, "free").await.unwrap().remove(0);
    assert_eq!((row.last_active, row.total), (began(&free), Money::ZERO), "it costs nothing to be active");
    let team = late.begin.tenant.team.clone().unwrap_or_default();
    assert!(
        store.balances().of(Scope::Team, &team).await.unwrap().iter().all(|row| row.last_active.is_none())
    );
}

async fn entries_of_days_that_are_gone_are_refused(base: Base) {
    let store = base.open().await;
    let mut random = Random(7);
    let day = 86_400;
    let old = [entry(&mut random, 92 * day), entry(&mut random, 200 * day)];
    let kept = [entry(&mut random, 89 * day), entry(&mut random, day), entry(&mut random, 5)];
    let all = [&old[..], &kept[..]].concat();
    assert_eq!(store.apply(&batch(&all)).await.unwrap(), Receipt { inserted: 3, known: 0, refused: 2 });
    check(&store, &kept).await;
    assert_eq!(store.expire().await.unwrap(), 0);
    let settings = Settings { retention_days: 2, ..base.settings() };
    let shorter = Store::open(settings, Arc::new(SystemClock)).await.unwrap();
    assert_eq!(shorter.expire().await.unwrap(), 1);
    assert_eq!(everything(&shorter).await.len(), 2);
    // It is gone and comes again: it counted once, and does not a second time.
    assert_eq!(shorter.apply(&batch(&kept)).await.unwrap(), Receipt { inserted: 0, known: 2, refused: 1 });
    assert_eq!(sums(&shorter).await, summed(&kept));
}

async fn positions_are_kept_with_the_entries(base: Base) {
    let store = base.open().await;
    let (one, other) = (InstanceId::fresh(), InstanceId::fresh());
    assert_eq!(store.applied(one).await.unwrap(), Applied::default());
    let applied = |n| Applied {
        whole: Position { segment: n, offset: 1 },
        read: Position { segment: n + 1, offset: 2 },
    };
    for n in [5, 9] {
        let applied = vec![(one, applied(n)), (other, applied(n * 2))];
        store.apply(&Batch { entries: some(1, n), applied }).await.unwrap();
    }
    assert_eq!(store.applied(one).await.unwrap(), applied(9));
    assert_eq!(store.applied(other).await.unwrap(), applied(18));
}

async fn reports_tell_the_sums_page_by_page(base: Base) {
    let store = base.open().await;
    let all: Vec<Entry> = {
        let mut random = Random(8);
        (0..500).map(|n| entry(&mut random, n * 1000)).collect()
    };
    store.apply(&batch(&all)).await.unwrap();
    let by = vec![Dimension::Day, Dimension::Team, Dimension::Group];
    let whole = report(vec![], by.clone(), 9999);
    let mut want = BTreeMap::<_, Vec<Entry>>::new();
    for entry in &all {
        let day = entry.begin.attempt.unix_millis() / 86_400_000;
        let key = (day, entry.begin.tenant.team.clone(), entry.begin.group.clone());
        want.entry(key).or_default().push(entry.clone());
    }
    let rows = store.report(&whole).await.unwrap();
    assert_eq!(rows.len(), want.len());
    for row in &rows {
        let day = row.by[0].as_deref().unwrap().parse().unwrap();
        let key = (day, row.by[1].clone(), row.by[2].clone().unwrap());
        assert_eq!(row.sums, summed(&want[&key]), "{key:?}");
    }
    let mut paged = Vec::new();
    let mut query = ReportQuery { limit: 7, ..whole.clone() };
    loop {
        let page = store.report(&query).await.unwrap();
        let Some(last) = page.last() else { break };
        query.after = Some(last.place.clone());
        paged.extend(page);
    }
    assert_eq!(paged, rows);
    for (name, of) in [("team-1", Some("team-1")), ("", None)] {
        let filters = vec![(Dimension::Team, name.to_owned())];
        let query = ReportQuery { filters, by: vec![], ..whole.clone() };
        let mine: Vec<Entry> =
            all.iter().filter(|entry| entry.begin.tenant.team.as_deref() == of).cloned().collect();
        assert_eq!(store.report(&query).await.unwrap()[0].sums, summed(&mine), "{name}");
    }
    let nobody = ReportQuery { filters: vec![(Dimension::Team, "none".into())], ..whole };
    assert_eq!(store.report(&nobody).await.unwrap(), []);
}

/// What one dimension is asked for is read off its sheet, two of them off the rollups: they must agree.
async fn every_sheet_says_what_the_rollups_say(base: Base) {
    let store = base.open().await;
    let mut random = Random(10);
    for _ in 0..4 {
        let mut all: Vec<Entry> = (0..120).map(|n| entry(&mut random, n * 1000)).collect();
        // What the cache gave was not told yet when there were no sheets.
        all.iter_mut().for_each(|entry| entry.begin.spared = None);
        store.apply(&batch(&all)).await.unwrap();
    }
    sheets_agree(&store).await;
    // A database that was filled before there were sheets is given them when it is opened.
    assert!(store.is_made().await.unwrap());
    run(&base, "DROP TABLE sheets").await;
    run(&base, "DELETE FROM migrations WHERE name IN ('0006-sheets', '0012-cache-sheets')").await;
    assert!(!store.is_made().await.unwrap(), "one change is missing");
    let store = base.open().await;
    sheets_agree(&store).await;
    let mut dearest = report(vec![], vec![Dimension::Customer], 3);
    dearest.order = Rank::Cost;
    let mut all = store.report(&report(vec![], vec![Dimension::Customer], 9999)).await.unwrap();
    all.sort_by_key(|row| std::cmp::Reverse(row.sums.cost));
    assert_eq!(store.report(&dearest).await.unwrap(), all[..3]);
    let rows = RollupQuery {
        days: 0..=u32::MAX,
        filters: vec![],
        by: vec![Dimension::Day, Dimension::Caller],
        skip: 0,
        limit: 9999,
    };
    let kept = store.rollups(&rows).await.unwrap();
    assert_eq!(kept.iter().map(|row| row.sums).sum::<Sums>(), self::sums(&store).await);
    assert!(kept.is_sorted_by(|one, next| one.place >= next.place), "the latest first");
    assert_eq!(store.count_rollups(&rows, 9999).await.unwrap(), kept.len() as u64);
    assert_eq!(store.count_rollups(&rows, 5).await.unwrap(), 5);
    let page = store.rollups(&RollupQuery { skip: 11, limit: 7, ..rows }).await.unwrap();
    assert_eq!(page, kept[11..18]);
}

async fn sheets_agree(store: &Store) {
    let dimensions = [
        Dimension::Caller,
        Dimension::Team,
        Dimension::User,
        Dimension::Organization,
        Dimension::Project,
        Dimension::Customer,
        Dimension::Tags,
        Dimension::Group,
        Dimension::Provider,
        Dimension::Model,
    ];
    for one in dimensions {
        let narrow = store.report(&report(vec![], vec![Dimension::Day, one], 9999)).await.unwrap();
        let other = if one == Dimension::Caller { Dimension::Customer } else { Dimension::Caller };
        let wide = store.report(&report(vec![], vec![Dimension::Day, one, other], 9999)).await.unwrap();
        let mut sums: BTreeMap<Vec<i64>, Sums> = BTreeMap::new();
        for row in &wide {
            *sums.entry(row.place[..2].to_vec()).or_default() += row.sums;
        }
        let narrow: BTreeMap<Vec<i64>, Sums> = narrow.into_iter().map(|row| (row.place, row.sums)).collect();
        assert!(wide.len() > narrow.len() && narrow == sums, "{one:?}");
    }
}

async fn a_page_of_entries_is_found_by_the_sums_of_its_days(base: Base) {
    let store = base.open().await;
    let mut random = Random(11);
    let all: Vec<Entry> = (0..400).map(|n| entry(&mut random, n * 1500)).collect();
    store.apply(&batch(&all)).await.unwrap();
    for filters in
        [vec![], vec![(Dimension::Caller, "key-2".to_owned())], vec![(Dimension::Team, String::new())]]
    {
        for hit in [None, Some(true), Some(false)] {
            let query = EntryQuery { filters: filters.clone(), hit, limit: 999, ..EntryQuery::default() };
            let want = store.entries(&query).await.unwrap();
            for size in [1, 7, 50] {
                let mut paged = Vec::new();
                loop {
                    let skip = paged.len() as u64;
                    let query =
                        PageQuery { days: 0..=u32::MAX, filters: filters.clone(), hit, skip, limit: size };
                    let page = store.entry_page(query).await.unwrap();
                    assert_eq!(page.total, want.len() as u64);
                    if page.entries.is_empty() {
                        break;
                    }
                    paged.extend(page.entries);
                }
                assert!(!want.is_empty() && paged == want, "{filters:?} {hit:?} by {size}");
            }
        }
    }
    let query = PageQuery { days: 0..=1, filters: vec![], hit: None, skip: 0, limit: 9 };
    let nothing = store.entry_page(query).await.unwrap();
    assert_eq!((nothing.entries.len(), nothing.total), (0, 0));
}

async fn an_entry_is_found_by_any_of_its_ids(base: Base) {
    let store = base.open().await;
    let mut all = some(40, 12);
    all[5].response = Some("chatcmpl-the-one".into());
    all[6].response = Some("0af76519-16cd-43dd-8448-eb211c80319c".into());
    store.apply(&batch(&all)).await.unwrap();
    let query = EntryQuery { limit: 9, ..EntryQuery::default() };
    for (id, want) in [
        (all[3].begin.attempt.to_string(), Some(&all[3])),
        (all[4].begin.call.to_string(), Some(&all[4])),
        ("chatcmpl-the-one".to_owned(), Some(&all[5])),
        (all[6].response.as_deref().unwrap().to_owned(), Some(&all[6])),
        ("chatcmpl-nobody's".to_owned(), None),
    ] {
        let found = store.entries_named(&id, &query).await.unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), want.into_iter().collect::<Vec<_>>(), "{id}");
    }
}

async fn a_calls_attempts_are_found_whenever_they_began(base: Base) {
    let store = base.open().await;
    let mut all = some(6, 15);
    // An hour ago, at the last of the 256 milliseconds that the next attempt is not in.
    let now = SystemClock.wall().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let called = (u64::try_from(now).unwrap() - 3_600_000) | 0xff;
    let at = |millis: u64, mut id: [u8; 16]| {
        id[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        id
    };
    let calls = [(); 2].map(|()| CallId::from_bytes(at(called, CallId::fresh().to_bytes())));
    // Before it by a clock that was set back, with it, right behind it, and long after it; and two of another call.
    for (entry, (behind, call)) in
        all.iter_mut().zip([(-255_i64, 0), (0, 0), (1, 0), (50_000, 0), (0, 1), (50_000, 1)])
    {
        let millis = called.checked_add_signed(behind).unwrap();
        entry.begin.attempt = AttemptId::from_bytes(at(millis, entry.begin.attempt.to_bytes()));
        entry.begin.call = calls[call];
        entry.begin.started = millis * 1000;
    }
    store.apply(&batch(&all)).await.unwrap();
    for (call, want) in [(calls[0], &all[..4]), (calls[1], &all[4..])] {
        let want: Vec<&Entry> = want.iter().rev().collect();
        let query = EntryQuery { limit: 9, ..EntryQuery::default() };
        let named = store.entries_named(&call.to_string(), &query).await.unwrap();
        assert_eq!(named.iter().collect::<Vec<_>>(), want);
        let of_call = store.entries(&EntryQuery { call: Some(call), ..query }).await.unwrap();
        assert_eq!(of_call.iter().collect::<Vec<_>>(), want);
    }
}

/// A typical attempt of a key with a team, a user, an organization and an end user; ids as long as providers make them.
fn typical(random: &mut Random, ago: u64, n: u64) -> Entry {
    let plain = entry(random, ago);
    let key = format!("{:064x}", u128::from(n % 100));
    let mut call = plain.begin.call.to_bytes();
    call[..6].copy_from_slice(&plain.begin.attempt.to_bytes()[..6]);
    Entry {
        begin: Begin {
            call: CallId::from_bytes(call),
            caller: key.into(),
            tenant: Tenant {
                team: Some(format!("team-{}", n % 20).into()),
                user: Some(format!("user-{}", n % 70).into()),
                organization: Some("acme".into()),
                project: None,
                customer: Some(format!("customer-{}", n % 500).into()),
                trace: Some("0af7651916cd43dd8448eb211c80319c".into()),
                tags: vec!["production".into()],
            },
            spared: None,
            ..plain.begin
        },
        state: State::Ended(Ending::Complete),
        certainty: Certainty::Exact,
        bound: plain.cost,
        usage: Usage { input: 1180, output: 312, cache_read: 1024, cache_in_input: true, ..Usage::default() },
        first_content: Some(Duration::from_millis(412)),
        duration: Some(Duration::from_millis(5120)),
        response: Some(format!("chatcmpl-{:029}", n).into()),
        ..plain
    }
}

async fn an_entry_is_short(base: Base) {
    const COUNT: u64 = 10_000;
    let store = base.open().await;
    let mut random = Random(9);
    // In the order in which they are made; each batch a little later than the one before.
    let all: Vec<Entry> = (0..COUNT).rev().map(|n| typical(&mut random, 60 + n, n)).collect();
    for part in all.chunks(500) {
        store.apply(&batch(part)).await.unwrap();
    }
    let bytes = bytes(&base).await;
    println!("an entry takes {} bytes", bytes / COUNT);
    assert!(bytes / COUNT <= 300, "{}", bytes / COUNT);
}

/// Runs a statement beside the store. Not by a program that this thread would wait for: connections of the store give
/// back what they have read meanwhile.
async fn run(base: &Base, sql: &str) {
    let url = match base {
        Base::Postgres(server) => server.url(),
        Base::Pooled(pooler) => pooler.server().url(),
        Base::Sqlite(dir) => format!("sqlite://{}", dir.path().join("gatewright.db").display()),
    };
    Database::connect(url).await.unwrap().execute_unprepared(sql).await.unwrap();
}

/// The bytes that the entries and their indexes take.
async fn bytes(base: &Base) -> u64 {
    let size = "SELECT pg_total_relation_size('entries')";
    let dir = match base {
        Base::Postgres(server) => return server.sql(size).unwrap().parse().unwrap(),
        Base::Pooled(pooler) => return pooler.server().sql(size).unwrap().parse().unwrap(),
        Base::Sqlite(dir) => dir,
    };
    let url = format!("sqlite://{}", dir.path().join("gatewright.db").display());
    let connection = Database::connect(url).await.unwrap();
    let sql = "SELECT SUM(pgsize) FROM dbstat WHERE name LIKE 'entries%'";
    let statement = Statement::from_string(DbBackend::Sqlite, sql);
    let row = connection.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index::<i64>(0).unwrap().unsigned_abs()
}

#[tokio::test]
async fn a_transaction_that_sqlite_takes_back_by_itself_spoils_none_that_follows() {
    let base = Base::sqlite();
    let Base::Sqlite(dir) = &base else { unreachable!() };
    let store = base.open().await;
    store.ready().await.unwrap();
    let url = format!("sqlite://{}", dir.path().join("gatewright.db").display());
    let other = Database::connect(url).await.unwrap();
    for (input, how) in [(4711, "ROLLBACK"), (4712, "ABORT")] {
        let trigger = format!(
            "CREATE TRIGGER unlucky_{input} BEFORE INSERT ON entries WHEN NEW.input = {input} \
             BEGIN SELECT RAISE({how}, 'unlucky'); END"
        );
        other.execute_unprepared(&trigger).await.unwrap();
    }
    let mut entries = some(20, 5);
    let mut bad = entries.pop().unwrap();
    // The second is taken back only to a savepoint where the driver still counts the first.
    for input in [4711, 4712] {
        bad.usage.input = input;
        store.apply(&batch(std::slice::from_ref(&bad))).await.unwrap_err();
    }
    store.apply(&batch(&entries)).await.unwrap();
    // Whoever else looks sees it, and so does the next process.
    let next = base.open().await;
    next.ready().await.unwrap();
    check(&next, &entries).await;
}
