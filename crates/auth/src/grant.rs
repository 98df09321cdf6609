//! What a virtual key stands for, made once when it is looked up.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use gatewright_core::{Allowance, Budget, Caller, Error, ErrorKind, KeyStanding, Money, Names, Result, Tab};
use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::recording;
use crate::routes::Routes;
use crate::{Holder, KeyHash, Part, Record};

/// A key, ready to be asked about requests.
#[derive(Debug)]
pub struct Grant {
    caller: Arc<Caller>,
    /// Why it opens nothing at all.
    refusal: Option<String>,
    expires: Option<SystemTime>,
    routes: Routes,
    addresses: Vec<IpNet>,
    parts: Vec<Part>,
}

/// What is known of a request before its body is read.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its path.
    pub path: &'a str,
    /// Where it comes from, where that is known.
    pub address: Option<IpAddr>,
}

/// The address that a request came from, as an extension of it.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Names in a key's list of models that stand for others.
const TEAMS_MODELS: &str = "all-team-models";
const ALL_MODELS: &str = "all-proxy-models";

/// In a user's list it closes all others: only keys of teams may be used.
const ONLY_IN_TEAMS: &str = "no-default-models";

// === impl Grant ===

impl Grant {
    /// Joins a key with what it belongs to, as it is at `now`.
    pub fn new(holder: &Holder, now: SystemTime) -> Self {
        let key = &holder.key;
        Self {
            caller: Arc::new(caller(holder, now)),
            refusal: blocked(holder),
            expires: time(&key.fields, "expires"),
            routes: Routes::new(
                &list(&key.fields, "allowed_routes"),
                text(&key.fields, "key_type").as_deref(),
            ),
            addresses: list(&key.fields, "allowed_ips").iter().filter_map(|text| network(text)).collect(),
            parts: holder.parts.clone(),
        }
    }

    /// The same of the key with this digest.
    pub(crate) fn of(mut self, key: KeyHash) -> Self {
        let standing = Arc::get_mut(&mut self.caller).and_then(|caller| caller.key.as_mut());
        if let Some(standing) = standing.and_then(Arc::get_mut) {
            standing.digest = Some(*key.bytes());
        }
        self
    }

    /// The same with what the metadata of its key, else of its team, says under these paths.
    pub(crate) fn showing(mut self, paths: &[String], holder: &Holder) -> Self {
        let names = Arc::get_mut(&mut self.caller).and_then(|caller| Arc::get_mut(&mut caller.known_as));
        if let Some(names) = names {
            names.metadata = paths.iter().map(|path| said(path, holder)).collect();
        }
        self
    }

    /// Whom it stands for, whatever it opens.
    pub(crate) fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// All that had a say in it, besides the key itself.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Lets a request pass, or says why not.
    pub fn admit(&self, asked: &Asked<'_>, now: SystemTime) -> Result<Arc<Caller>> {
        if let Some(words) = &self.refusal {
            return Err(Error::new(ErrorKind::Unauthenticated, words.clone()));
        }
        if let Some(expires) = self.expires.filter(|expires| *expires <= now) {
            let words = format!(
                "Authentication Error - Expired Key. Key Expiry time {} and current time {}",
                printed(expires),
                printed(now)
            );
            let err = Error::new(ErrorKind::Unauthenticated, words).with_type("expired_key");
            return Err(err.with_param(self.caller.name.to_string()));
        }
        if let Some(address) = asked.address
            && !self.addresses.is_empty()
            && !self.addresses.iter().any(|network| network.contains(&address))
        {
            let words = "Access forbidden: the key may not be used from this address.";
            return Err(Error::new(ErrorKind::Forbidden, words));
        }
        self.routes.admit(asked.path)?;
        Ok(self.caller.clone())
    }
}

fn caller(holder: &Holder, now: SystemTime) -> Caller {
    let key = &holder.key;
    let id = |record: &Option<Record>| record.as_ref().map(|record| record.id.clone());
    Caller {
        name: text(&key.fields, "key_name").unwrap_or_default().into(),
        known_as: Arc::new(names(holder)),
        models: models(holder),
        aliases: aliases(holder),
        team: id(&holder.team),
        user: id(&holder.user),
        organization: id(&holder.organization),
        project: id(&holder.project),
        end_user: text(&key.fields, "end_user").map(Into::into),
        end_user_budget: text(&key.fields, "end_user_budget_id").map(Into::into),
        tags: tags(holder),
        cache_controls: list(&key.fields, "allowed_cache_controls"),
        budget_fallbacks: budget_fallbacks(&key.fields),
        allowances: allowances(holder, now),
        recording: recording::of(holder).map(Arc::new),
        key: standing(key, now),
        ..Caller::new(key.id.clone())
    }
}

fn names(holder: &Holder) -> Names {
    let said = |record: &Option<Record>, field: &str| text(&record.as_ref()?.fields, field).map(Arc::from);
    Names {
        key: text(&holder.key.fields, "key_alias").map(Arc::from),
        team: said(&holder.team, "team_alias"),
        organization: said(&holder.organization, "organization_alias"),
        project: said(&holder.project, "project_alias"),
        email: said(&holder.user, "user_email"),
        metadata: Vec::new(),
    }
}

/// Nothing of what only stands in place of a key.
fn standing(key: &Record, now: SystemTime) -> Option<Arc<KeyStanding>> {
    text(&key.fields, "key_name")?;
    let Allowance { requests, tokens, .. } = allowance("api_key", key, now);
    let most = dollars(key.fields.get("max_budget")).map(|most| most + increase(&key.fields, now));
    Some(Arc::new(KeyStanding { digest: None, spent: Tab::from(key.spent), most, requests, tokens }))
}

/// The first of those above a key that is blocked, or the key itself.
fn blocked(holder: &Holder) -> Option<String> {
    if is_blocked(&holder.key) {
        return Some(
            "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.".into(),
        );
    }
    let above = [("Team", "team", &holder.team), ("User", "user", &holder.user)];
    above.into_iter().find_map(|(word, route, record)| {
        let record = record.as_ref().filter(|record| is_blocked(record))?;
        Some(format!(
            "Authentication Error, {word}={} is blocked. Update via `/{route}/unblock` if you're an admin.",
            record.id
        ))
    })
}

pub(crate) fn is_blocked(record: &Record) -> bool {
    record.fields.get("blocked") == Some(&Value::Bool(true))
}

/// A key without models of its own has those of what it belongs to. A user's list counts for keys outside of teams.
fn models(holder: &Holder) -> Vec<Vec<Arc<str>>> {
    let user = holder.user.as_ref().filter(|_| holder.team.is_none());
    let records = [Some(&holder.key), holder.member.as_ref(), holder.team.as_ref(), user];
    let above = [holder.project.as_ref(), holder.organization.as_ref()];
    let lists = records.into_iter().chain(above).flatten().map(|record| list(&record.fields, "models"));
    let closed = |list: &Vec<Arc<str>>| list.iter().any(|name| &**name == ONLY_IN_TEAMS);
    if user.is_some_and(|user| closed(&list(&user.fields, "models"))) {
        return vec![Vec::new()];
    }
    let says = |list: &Vec<Arc<str>>| {
        !list.is_empty() && !list.iter().any(|name| matches!(&**name, TEAMS_MODELS | ALL_MODELS | "*"))
    };
    lists.filter(says).collect()
}

fn aliases(holder: &Holder) -> Vec<(Arc<str>, Arc<str>)> {
    let of = |record: &Record, field: &str| match record.fields.get(field) {
        Some(Value::Object(map)) => {
            map.iter().filter_map(|(from, to)| Some((from.as_str().into(), to.as_str()?.into()))).collect()
        }
        _ => Vec::new(),
    };
    let mut all: Vec<(Arc<str>, Arc<str>)> = of(&holder.key, "aliases");
    all.extend(holder.team.iter().flat_map(|team| of(team, "model_aliases")));
    all
}

/// `{"dear": ["cheap", "cheaper"]}`.
fn budget_fallbacks(fields: &Map<String, Value>) -> Vec<(Arc<str>, Vec<Arc<str>>)> {
    let listed = fields.get("budget_fallbacks").and_then(Value::as_object).into_iter().flatten();
    let cheaper = |value: &Value| match value {
        Value::String(model) => vec![model.as_str().into()],
        Value::Array(models) => models.iter().filter_map(Value::as_str).map(Into::into).collect(),
        _ => Vec::new(),
    };
    listed.map(|(model, value)| (model.as_str().into(), cheaper(value))).collect()
}

/// A text under a path of names with dots between them, which LiteLLM lets begin with `metadata`.
fn said(path: &str, holder: &Holder) -> Option<Arc<str>> {
    let path = path.strip_prefix("metadata.").unwrap_or(path);
    let records = [Some(&holder.key), holder.team.as_ref()];
    records.into_iter().flatten().find_map(|record| {
        let metadata = record.fields.get("metadata")?;
        let value = path.split('.').try_fold(metadata, |value, name| value.get(name))?;
        value.as_str().map(Into::into)
    })
}

fn tags(holder: &Holder) -> Vec<Arc<str>> {
    let metadata = |record: &Record| match record.fields.get("metadata") {
        Some(Value::Object(metadata)) => list(metadata, "tags"),
        _ => Vec::new(),
    };
    let records = [Some(&holder.key), holder.team.as_ref()];
    let mut tags: Vec<Arc<str>> = Vec::new();
    for record in records.into_iter().flatten() {
        tags.extend(list(&record.fields, "tags"));
        tags.extend(metadata(record));
    }
    tags.dedup();
    tags
}

/// A key of a team counts against its team and not against its user's own allowance, as in LiteLLM.
fn allowances(holder: &Holder, now: SystemTime) -> Vec<Allowance> {
    let user = holder.user.as_ref().filter(|_| holder.team.is_none());
    let scopes = [
        ("api_key", Some("model_per_key"), Some(&holder.key)),
        ("team_member", None, holder.member.as_ref()),
        ("team", Some("model_per_team"), holder.team.as_ref()),
        ("user", Some("model_per_user"), user),
        ("project", Some("model_per_project"), holder.project.as_ref()),
        ("organization", Some("model_per_organization"), holder.organization.as_ref()),
    ];
    let mut all = Vec::new();
    for (scope, model_scope, record) in scopes {
        let Some(record) = record else { continue };
        all.extend(Some(allowance(scope, record, now)).filter(Allowance::says_anything));
        if let Some(scope) = model_scope {
            all.extend(model_allowances(scope, record));
        }
    }
    all
}

pub(crate) fn allowance(scope: &'static str, record: &Record, now: SystemTime) -> Allowance {
    let count = |field: &str| record.fields.get(field).and_then(Value::as_u64);
    Allowance {
        scope,
        id: record.id.clone(),
        model: None,
        requests: count("rpm_limit"),
        tokens: count("tpm_limit"),
        tokens_a_day: count("tpd_limit"),
        parallel: count("max_parallel_requests"),
        budgets: budgets(record, now),
        soft: dollars(record.fields.get("soft_budget")).map(|most| own_budget(record, most)),
    }
}

impl Record {
    /// How much it allows by itself, as it is at `now`: what a key, a team or a user says of its own.
    pub fn allowance(&self, scope: &'static str, now: SystemTime) -> Allowance {
        allowance(scope, self, now)
    }
}

fn budgets(record: &Record, now: SystemTime) -> Vec<Budget> {
    let fields = &record.fields;
    let mut all = Vec::new();
    if let Some(most) = dollars(fields.get("max_budget")) {
        all.push(own_budget(record, most + increase(fields, now)));
    }
    let windows = fields.get("budget_limits").and_then(Value::as_array).into_iter().flatten();
    all.extend(windows.filter_map(Value::as_object).filter_map(|window| {
        let duration: Arc<str> = text(window, "budget_duration")?.into();
        let most = dollars(window.get("max_budget"))?;
        let spent = spent_in(record, &duration);
        Some(Budget { most, spent, duration: Some(duration), ends: None, turn: turn(record) })
    }));
    all
}

/// So much in the time of the record's own budget.
fn own_budget(record: &Record, most: Money) -> Budget {
    let duration = text(&record.fields, "budget_duration").map(Into::into);
    Budget { most, spent: record.spent, duration, ends: record.resets_at, turn: turn(record) }
}

/// What is set of the record's spend counts for all of its own budgets.
fn turn(record: &Record) -> u64 {
    record.fields.get("spend_turn").and_then(Value::as_u64).unwrap_or_default()
}

/// A temporary increase, until it expires.
fn increase(fields: &Map<String, Value>, now: SystemTime) -> Money {
    let until = time(fields, "temp_budget_expiry");
    let runs = until.is_some_and(|until| until > now);
    dollars(fields.get("temp_budget_increase")).filter(|_| runs).unwrap_or(Money::ZERO)
}

/// What single models may be used for: `model_rpm_limit`, `model_tpm_limit`, `model_max_budget`.
pub(crate) fn model_allowances(scope: &'static str, record: &Record) -> Vec<Allowance> {
    let maps = ["model_rpm_limit", "model_tpm_limit", "model_max_budget"]
        .map(|field| record.fields.get(field).and_then(Value::as_object));
    let [requests, tokens, money] = maps;
    let mut models: Vec<&String> = maps.into_iter().flatten().flat_map(Map::keys).collect();
    models.sort_unstable();
    models.dedup();
    let of = |model: &String| Allowance {
        scope,
        id: format!("{}:{model}", record.id).into(),
        model: Some(model.as_str().into()),
        requests: requests.and_then(|map| map.get(model)?.as_u64()),
        tokens: tokens.and_then(|map| map.get(model)?.as_u64()),
        tokens_a_day: None,
        parallel: None,
        soft: None,
        budgets: money.and_then(|map| model_budget(record, model, map.get(model)?)).into_iter().collect(),
    };
    models.into_iter().map(of).collect()
}

fn model_budget(record: &Record, model: &str, limit: &Value) -> Option<Budget> {
    let limit = limit.as_object()?;
    let most = dollars(limit.get("budget_limit").or_else(|| limit.get("max_budget")))?;
    let duration = text(limit, "time_period").or_else(|| text(limit, "budget_duration"));
    let duration = duration.map(Into::into);
    Some(Budget { most, spent: spent_in(record, model), duration, ends: None, turn: 0 })
}

fn spent_in(record: &Record, name: &str) -> Money {
    record.spent_in.iter().find(|(kept, _)| &**kept == name).map_or(Money::ZERO, |(_, spent)| *spent)
}

fn text(fields: &Map<String, Value>, field: &str) -> Option<String> {
    fields.get(field).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn time(fields: &Map<String, Value>, field: &str) -> Option<SystemTime> {
    let at: Timestamp = text(fields, field)?.parse().ok()?;
    Some(at.into())
}

/// As LiteLLM prints times: `2026-11-20 23:50:21.574000+00:00`.
fn printed(at: SystemTime) -> String {
    let at = Timestamp::try_from(at).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S%.6f+00:00").to_string()
}

pub(crate) fn list(fields: &Map<String, Value>, field: &str) -> Vec<Arc<str>> {
    let items = fields.get(field).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(Into::into).collect()
}

/// An amount as it was written, without the detour over a binary fraction. A budget that was set is one: what is too large
/// to be counted is the largest, what is less than nothing is nothing.
fn dollars(value: Option<&Value>) -> Option<Money> {
    let Value::Number(number) = value? else { return None };
    let bound = || if number.as_f64().is_some_and(|amount| amount < 0.0) { Money::ZERO } else { Money::MAX };
    Some(Money::parse_dollars(&number.to_string()).unwrap_or_else(bound))
}

pub(crate) fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse().ok().map(|address: IpAddr| address.into()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn record(id: &str, fields: Value) -> Record {
        let Value::Object(fields) = fields else { panic!("{fields}") };
        Record { id: id.into(), fields, ..Record::default() }
    }

    fn holder(key: Value, team: Option<Value>, user: Option<Value>) -> Holder {
        Holder {
            key: record("hash", key),
            team: team.map(|fields| record("t", fields)),
            member: None,
            user: user.map(|fields| record("u", fields)),
            project: None,
            organization: None,
            parts: Vec::new(),
        }
    }

    fn at(text: &str) -> SystemTime {
        text.parse::<Timestamp>().unwrap().into()
    }

    fn asked(path: &str) -> Asked<'_> {
        Asked { path, address: Some([10, 0, 0, 7].into()) }
    }

    #[test]
    fn a_key_is_refused_for_what_it_and_those_above_it_say() {
        let now = at("2026-11-20T23:50:23.514529Z");
        let expired = json!({"expires": "2026-11-20T23:50:21.574Z", "key_name": "sk-...769a"});
        for (holder, words) in [
            (holder(json!({}), None, None), None),
            (holder(json!({"blocked": true}), None, None), Some("Key is blocked. Update via `/key/unblock`")),
            (holder(json!({"blocked": null}), Some(json!({"blocked": false})), None), None),
            (
                holder(json!({}), Some(json!({"blocked": true})), None),
                Some("Team=t is blocked. Update via `/team/unblock`"),
            ),
            (
                holder(expired, None, None),
                Some(
                    "Authentication Error - Expired Key. Key Expiry time 2026-11-20 23:50:21.574000+00:00 and current time 2026-11-20 23:50:23.514529+00:00",
                ),
            ),
            (holder(json!({"expires": "2026-11-20T23:50:24Z"}), None, None), None),
            (holder(json!({"allowed_ips": ["10.0.0.0/8"]}), None, None), None),
            (holder(json!({"allowed_ips": ["10.0.0.7", "::1"]}), None, None), None),
            (
                holder(json!({"allowed_ips": ["10.1.0.0/16"]}), None, None),
                Some("may not be used from this address"),
            ),
            (
                holder(json!({"allowed_routes": ["/v1/embeddings"]}), None, None),
                Some("['/v1/embeddings']. Tried to call route: /v1/chat/completions"),
            ),
        ] {
            let admitted = Grant::new(&holder, now).admit(&asked("/v1/chat/completions"), now);
            match (admitted, words) {
                (Ok(caller), None) => assert_eq!(&*caller.id, "hash"),
                (Err(err), Some(words)) => {
                    assert!(err.message().contains(words), "{words}: {}", err.message())
                }
                (admitted, words) => panic!("{words:?} {admitted:?}"),
            }
        }
    }

    #[test]
    fn lists_of_models_narrow_each_other() {
        let key = |models: &[&str]| json!({"models": models});
        for (holder, model, may) in [
            (holder(key(&[]), None, None), "a", true),
            (holder(key(&["a"]), None, None), "b", false),
            (holder(key(&["a", "b"]), Some(key(&["b"])), None), "a", false),
            (holder(key(&["all-team-models"]), Some(key(&["b"])), None), "b", true),
            (holder(key(&["all-team-models"]), Some(key(&["b"])), None), "a", false),
            (holder(key(&["all-proxy-models"]), None, None), "a", true),
            (holder(key(&[]), None, Some(key(&["b"]))), "a", false),
            (holder(key(&[]), Some(key(&[])), Some(key(&["b"]))), "a", true),
            (holder(key(&["no-default-models"]), None, None), "a", false),
            (holder(key(&["a"]), None, Some(key(&["no-default-models", "a"]))), "a", false),
            (holder(key(&["a"]), Some(key(&["a"])), Some(key(&["no-default-models"]))), "a", true),
        ] {
            assert_eq!(caller(&holder, SystemTime::UNIX_EPOCH).may_use(model), may, "{holder:?}");
        }
    }

    #[test]
    fn allowances_are_those_of_everyone_a_key_counts_against() {
        let now = at("2026-11-20T00:00:00Z");
        let key = json!({
            "rpm_limit": 5, "max_budget": 0.0002, "budget_duration": "monthly", "temp_budget_increase": 1,
            "temp_budget_expiry": "2026-11-21T00:00:00Z",
            "budget_limits": [{"budget_duration": "1d", "max_budget": 1e-5}],
            "model_rpm_limit": {"m": 1}, "model_max_budget": {"m": {"budget_limit": 2, "time_period": "1d"}},
        });
        let mut holder = holder(key, Some(json!({"tpm_limit": 7})), Some(json!({"max_budget": 3})));
        holder.key.spent = Money(9);
        holder.key.spent_in = vec![("1d".into(), Money(4)), ("m".into(), Money(6))];
        let all = caller(&holder, now).allowances;
        let scopes: Vec<_> = all.iter().map(|one| (one.scope, &*one.id)).collect();
        assert_eq!(scopes, [("api_key", "hash"), ("model_per_key", "hash:m"), ("team", "t")]);
        let budget = |most: i64, spent: i64, duration: &str| Budget {
            most: Money(most),
            spent: Money(spent),
            duration: Some(duration.into()),
            ends: None,
            turn: 0,
        };
        assert_eq!(all[0].budgets, [budget(1_000_200_000, 9, "monthly"), budget(10_000, 4, "1d")]);
        assert_eq!((all[0].requests, all[1].requests, all[2].tokens), (Some(5), Some(1), Some(7)));
        assert_eq!(all[1].budgets, [budget(2_000_000_000, 6, "1d")]);
        holder.team = None;
        let later = caller(&holder, now + Duration::from_secs(86_401)).allowances;
        assert_eq!(later[0].budgets[0].most, Money(200_000), "the increase is over");
        assert_eq!((later[2].scope, later[2].budgets[0].most), ("user", Money(3_000_000_000)));
    }
}
