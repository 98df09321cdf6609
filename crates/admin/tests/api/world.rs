//! The management API over a database of its own, asked without a socket.
use std::num::NonZeroU64;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use gatewright_admin::{
    Admin, Answers, AnswersState, Change, Configured, CostMap, CostMapState, Deployed, Deployments,
    NotReloaded, Prices, Reload, Services, Vault, Waiting,
};
use gatewright_auth::{Authenticator, Holder, KeyHash, Keys, Record, Settings};
use gatewright_core::{Caller, Money, OwnSink, SinkFigures, SystemClock, Usage};
use gatewright_store::{Kind, Place, Store};
use http::{Method, Request};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

/// The master key.
pub(crate) const MASTER: &str = "sk-master-for-tests";

/// One database with the API in front of it.
pub(crate) struct World {
    pub(crate) store: Store,
    _folder: TempDir,
    router: Router,
}

/// The keys of the database with what the data plane reads of them: here only users and teams matter.
struct Stored(Store);

impl Keys for Stored {
    fn find(
        &self,
        key: KeyHash,
    ) -> std::pin::Pin<Box<dyn Future<Output = gatewright_core::Result<Option<Holder>>> + Send + '_>> {
        Box::pin(async move {
            let Some(key) = self.0.objects(Kind::Key).find(&key.to_string()).await.unwrap() else {
                return Ok(None);
            };
            let record =
                |id: &Option<String>| id.as_deref().map(|id| Record { id: id.into(), ..Record::default() });
            let table = gatewright_admin::table(Kind::Key).unwrap();
            let fields = gatewright_admin::document(table, &key);
            let parents = &key.draft.parents;
            Ok(Some(Holder {
                team: record(&parents.team),
                member: None,
                user: record(&parents.user),
                project: record(&parents.project),
                organization: record(&parents.organization),
                parts: Vec::new(),
                key: Record { id: key.id.as_str().into(), fields, ..Record::default() },
            }))
        })
    }

    fn claimed<'a>(
        &'a self,
        _: &'a gatewright_auth::Claimed,
    ) -> std::pin::Pin<Box<dyn Future<Output = gatewright_core::Result<Option<Holder>>> + Send + 'a>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// Forgets everything after every change.
struct Forgetful(Authenticator);

impl Reload for Forgetful {
    fn changed(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async { self.0.doubt() })
    }
}

/// Where every model would build, and none is in force.
struct Nowhere;

impl Deployments for Nowhere {
    fn are_stored(&self) -> bool {
        true
    }

    fn check<'a>(&'a self, _: &'a [Change]) -> Waiting<'a, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn find(&self, _: &str) -> Option<Deployed> {
        None
    }

    fn permits(&self, caller: &Caller, model: &str) -> bool {
        caller.may_use(model)
    }

    fn has_access_group(&self, name: &str) -> bool {
        name == "beta"
    }

    fn credentials(&self) -> Vec<Configured> {
        Vec::new()
    }
}

/// Counts nothing: no call is made.
struct Uncounted;

impl gatewright_admin::Counts for Uncounted {
    fn reset(&self, _: gatewright_limits::Reset) {}
}

/// A model that costs a nano-dollar a token, and none that is known besides.
struct Flat;

impl Prices for Flat {
    fn cost(&self, model: &str, usage: &Usage) -> Option<Money> {
        (model == "smart").then(|| Money(i64::try_from(usage.total_input() + usage.output).unwrap()))
    }
}

/// No price map.
struct Unpriced;

const UNNAMED: NotReloaded = NotReloaded::Unnamed("there is none");

impl CostMap for Unpriced {
    fn reload(&self) -> Waiting<'_, Result<usize, NotReloaded>> {
        Box::pin(async { Err(UNNAMED) })
    }

    fn schedule(&self, _: Option<NonZeroU64>) -> Result<(), NotReloaded> {
        Err(UNNAMED)
    }

    fn state(&self) -> CostMapState {
        CostMapState::default()
    }
}

/// No cache of answers.
struct Uncached;

impl Answers for Uncached {
    fn state(&self) -> Option<AnswersState> {
        None
    }

    fn ping(&self) -> Waiting<'_, gatewright_core::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn info(&self) -> Waiting<'_, gatewright_core::Result<Option<(String, String)>>> {
        Box::pin(async { Ok(None) })
    }

    fn forget(&self, _: Vec<Arc<str>>) -> Waiting<'_, gatewright_core::Result<u64>> {
        Box::pin(async { Ok(0) })
    }

    fn clear(&self) -> Waiting<'_, gatewright_core::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn configured(&self) -> Map<String, Value> {
        Map::new()
    }

    fn check(&self, _: &Map<String, Value>) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn reach<'a>(&'a self, _: &'a Map<String, Value>) -> Waiting<'a, Result<(), String>> {
        Box::pin(async { Err("nobody is there".to_owned()) })
    }
}

/// One channel that takes tests, one that does not, and two sinks.
struct Pager;

impl Services for Pager {
    fn test<'a>(&'a self, channel: &'a str) -> Waiting<'a, Option<Result<(), String>>> {
        Box::pin(async move {
            match channel {
                "slack" => Some(Ok(())),
                "webhook" => Some(Err("the variable WEBHOOK_URL is not set".to_owned())),
                _ => None,
            }
        })
    }

    fn opens(&self, own: &OwnSink) -> bool {
        &*own.name == "langfuse" && own.vars.iter().any(|(name, _)| &**name == "langfuse_secret_key")
    }

    fn sinks(&self) -> Vec<SinkFigures> {
        let sink =
            |name: &str, up| SinkFigures { name: name.to_owned(), sent: 3, up, ..SinkFigures::default() };
        vec![sink("langfuse", true), sink("lunary", false)]
    }
}

impl World {
    /// An empty one.
    pub(crate) async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let place = Place::Sqlite(folder.path().join("gatewright.db"));
        let clock = Arc::new(SystemClock);
        let store = Store::open(gatewright_store::Settings::at(place), clock.clone()).await.unwrap();
        let credentials = Settings { master_key: Some(MASTER.into()), ..Settings::default() };
        let authenticator = Authenticator::new(&credentials).with_keys(
            &credentials,
            Arc::new(Stored(store.clone())),
            clock.clone(),
        );
        let admin = Admin {
            store: store.clone(),
            reload: Arc::new(Forgetful(authenticator.clone())),
            authenticator,
            credentials,
            prices: Arc::new(Flat),
            cost_map: Arc::new(Unpriced),
            answers: Arc::new(Uncached),
            services: Arc::new(Pager),
            counts: Arc::new(Uncounted),
            deployments: Arc::new(Nowhere),
            vault: Vault::new(&MASTER.into()).ok(),
            rotates: false,
            clock,
            calendar: gatewright_limits::Calendar::default(),
        };
        Self { store, _folder: folder, router: admin.router() }
    }

    /// Asks with a key; answers the status and the body.
    pub(crate) async fn ask(&self, key: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder()
            .method(method.parse::<Method>().unwrap())
            .uri(path)
            .header("authorization", format!("Bearer {key}"))
            .body(body)
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Asks as the administrator, who must get what is asked for.
    pub(crate) async fn told(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, told) = self.ask(MASTER, method, path, body.clone()).await;
        assert_eq!(status, 200, "{method} {path} {body}: {told}");
        told
    }

    /// A new key of a user that is made with a role.
    pub(crate) async fn user(&self, id: &str, role: &str) -> String {
        let made = self.told("POST", "/user/new", json!({"user_id": id, "user_role": role})).await;
        text(&made, "key")
    }
}

/// A text of an answer.
pub(crate) fn text(told: &Value, name: &str) -> String {
    told[name].as_str().unwrap_or_else(|| panic!("{name} in {told}")).to_owned()
}
