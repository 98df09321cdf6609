//! The management API in one table: what is asked, who may ask, and what answers.

use std::pin::Pin;

use http::Method;
use serde_json::Value;

use crate::Table;
use crate::access::{ADMIN, Access, LEAD, LOOK, ORGANIZE, OWN, WATCH};
use crate::ask::Ask;
use crate::failure::Result;
use crate::models::groups;
use crate::tables::{BUDGET, CREDENTIAL, CUSTOMER, KEY, MODEL, ORGANIZATION, PROJECT, TAG, TEAM, USER};
use crate::{
    audit, budgets, cache, cost_map, credentials, customers, keys, models, organizations, projects, reports,
    resets, services, tags, teams, users,
};

/// One route.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    pub(crate) act: Act,
}

/// What answers a request.
pub(crate) type Act = for<'a> fn(&'a mut Ask) -> Pin<Box<dyn Future<Output = Result<Value>> + Send + 'a>>;

/// All routes. One place in memory: a constant would bring all that answers into every crate that names it.
pub static ROUTES: &[Route] = &[
    // Keys.
    post("/key/generate", OWN, |ask| Box::pin(keys::generate(ask))),
    post("/key/service-account/generate", OWN, |ask| Box::pin(keys::service_account(ask))),
    post("/key/update", OWN, |ask| Box::pin(keys::update(ask))),
    post("/key/delete", OWN, |ask| Box::pin(keys::delete(ask))),
    post("/key/block", OWN, |ask| Box::pin(keys::block(ask))),
    post("/key/unblock", OWN, |ask| Box::pin(keys::unblock(ask))),
    post("/key/regenerate", OWN, |ask| Box::pin(keys::regenerate(ask))),
    post("/key/{key}/regenerate", OWN, |ask| Box::pin(keys::regenerate(ask))),
    post("/key/{key}/reset_spend", ADMIN, |ask| Box::pin(resets::key(ask))),
    post("/key/health", LOOK, |ask| Box::pin(keys::health(ask))),
    get("/key/info", LOOK, |ask| Box::pin(keys::info(ask))),
    get("/key/list", LOOK, |ask| Box::pin(keys::list(ask))),
    get("/key/aliases", LOOK, |ask| Box::pin(keys::aliases(ask))),
    // Teams.
    post("/team/new", ORGANIZE, |ask| Box::pin(teams::new(ask))),
    post("/team/update", LEAD, |ask| Box::pin(teams::update(ask))),
    post("/team/delete", ORGANIZE, |ask| Box::pin(teams::delete(ask))),
    post("/team/block", ORGANIZE, |ask| Box::pin(teams::block(ask))),
    post("/team/unblock", ORGANIZE, |ask| Box::pin(teams::unblock(ask))),
    post("/team/{team_id}/reset_spend", ADMIN, |ask| Box::pin(resets::team(ask))),
    post("/team/{team_id}/member/{user_id}/reset_spend", LEAD, |ask| {
        Box::pin(teams::member_reset_spend(ask))
    }),
    post("/team/{team_id}/member/{user_id}/reset_budget", LEAD, |ask| {
        Box::pin(teams::member_reset_budget(ask))
    }),
    post("/team/model/add", ORGANIZE, |ask| Box::pin(teams::model_add(ask))),
    post("/team/model/delete", ORGANIZE, |ask| Box::pin(teams::model_delete(ask))),
    post("/team/member_add", LEAD, |ask| Box::pin(teams::member_add(ask))),
    post("/team/bulk_member_add", LEAD, |ask| Box::pin(teams::members_add(ask))),
    post("/team/member_update", LEAD, |ask| Box::pin(teams::member_update(ask))),
    post("/team/member_delete", LEAD, |ask| Box::pin(teams::member_delete(ask))),
    post("/team/permissions_update", LEAD, |ask| Box::pin(teams::permissions_update(ask))),
    get("/team/permissions_list", LOOK, |ask| Box::pin(teams::permissions(ask))),
    post("/team/{team_id}/callback", ORGANIZE, |ask| Box::pin(teams::callback::add(ask))),
    get("/team/{team_id}/callback", LOOK, |ask| Box::pin(teams::callback::list(ask))),
    post("/team/{team_id}/disable_logging", ORGANIZE, |ask| Box::pin(teams::callback::clear(ask))),
    get("/team/info", LOOK, |ask| Box::pin(teams::info(ask))),
    get("/team/list", LOOK, |ask| Box::pin(teams::list(ask))),
    get("/v2/team/list", LOOK, |ask| Box::pin(teams::pages(ask))),
    // Users.
    post("/user/new", ADMIN, |ask| Box::pin(users::new(ask))),
    post("/user/update", OWN, |ask| Box::pin(users::update(ask))),
    post("/user/delete", ADMIN, |ask| Box::pin(users::delete(ask))),
    get("/user/info", LOOK, |ask| Box::pin(users::info(ask))),
    get("/user/list", WATCH, |ask| Box::pin(users::list(ask))),
    // Organizations.
    post("/organization/new", ADMIN, |ask| Box::pin(organizations::new(ask))),
    patch("/organization/update", ORGANIZE, |ask| Box::pin(organizations::update(ask))),
    remove("/organization/delete", ADMIN, |ask| Box::pin(organizations::delete(ask))),
    get("/organization/info", LOOK, |ask| Box::pin(organizations::info(ask))),
    post("/organization/info", LOOK, |ask| Box::pin(organizations::info(ask))),
    get("/organization/list", LOOK, |ask| Box::pin(organizations::list(ask))),
    post("/organization/member_add", ORGANIZE, |ask| Box::pin(organizations::member_add(ask))),
    patch("/organization/member_update", ORGANIZE, |ask| Box::pin(organizations::member_update(ask))),
    remove("/organization/member_delete", ORGANIZE, |ask| Box::pin(organizations::member_delete(ask))),
    // Projects.
    post("/project/new", LEAD, |ask| Box::pin(projects::new(ask))),
    post("/project/update", LEAD, |ask| Box::pin(projects::update(ask))),
    remove("/project/delete", LEAD, |ask| Box::pin(projects::delete(ask))),
    get("/project/info", LOOK, |ask| Box::pin(projects::info(ask))),
    get("/project/list", LOOK, |ask| Box::pin(projects::list(ask))),
    // Customers.
    post("/customer/new", ADMIN, |ask| Box::pin(customers::new(ask))),
    post("/customer/update", ADMIN, |ask| Box::pin(customers::update(ask))),
    post("/customer/delete", ADMIN, |ask| Box::pin(customers::delete(ask))),
    post("/customer/block", ADMIN, |ask| Box::pin(customers::block(ask))),
    post("/customer/unblock", ADMIN, |ask| Box::pin(customers::unblock(ask))),
    get("/customer/info", WATCH, |ask| Box::pin(customers::info(ask))),
    get("/customer/list", WATCH, |ask| Box::pin(customers::list(ask))),
    post("/end_user/new", ADMIN, |ask| Box::pin(customers::new(ask))),
    post("/end_user/update", ADMIN, |ask| Box::pin(customers::update(ask))),
    post("/end_user/delete", ADMIN, |ask| Box::pin(customers::delete(ask))),
    post("/end_user/block", ADMIN, |ask| Box::pin(customers::block(ask))),
    post("/end_user/unblock", ADMIN, |ask| Box::pin(customers::unblock(ask))),
    get("/end_user/info", WATCH, |ask| Box::pin(customers::info(ask))),
    get("/end_user/list", WATCH, |ask| Box::pin(customers::list(ask))),
    // Budgets.
    post("/budget/new", ADMIN, |ask| Box::pin(budgets::new(ask))),
    post("/budget/update", ADMIN, |ask| Box::pin(budgets::update(ask))),
    post("/budget/delete", ADMIN, |ask| Box::pin(budgets::delete(ask))),
    post("/budget/info", WATCH, |ask| Box::pin(budgets::info(ask))),
    get("/budget/list", WATCH, |ask| Box::pin(budgets::list(ask))),
    get("/budget/settings", WATCH, |ask| Box::pin(budgets::settings(ask))),
    // Tags.
    post("/tag/new", ADMIN, |ask| Box::pin(tags::new(ask))),
    post("/tag/update", ADMIN, |ask| Box::pin(tags::update(ask))),
    post("/tag/delete", ADMIN, |ask| Box::pin(tags::delete(ask))),
    post("/tag/info", WATCH, |ask| Box::pin(tags::info(ask))),
    get("/tag/list", WATCH, |ask| Box::pin(tags::list(ask))),
    // Models and what their providers are shown.
    post("/model/new", LEAD, |ask| Box::pin(models::new(ask))),
    post("/model/update", LEAD, |ask| Box::pin(models::update(ask))),
    patch("/model/{model_id}/update", LEAD, |ask| Box::pin(models::patch(ask))),
    post("/model/delete", LEAD, |ask| Box::pin(models::delete(ask))),
    post("/model/block", LEAD, |ask| Box::pin(models::block(ask))),
    post("/model/unblock", LEAD, |ask| Box::pin(models::unblock(ask))),
    post("/access_group/new", ADMIN, |ask| Box::pin(groups::new(ask))),
    get("/access_group/list", WATCH, |ask| Box::pin(groups::list(ask))),
    get("/access_group/{access_group}/info", WATCH, |ask| Box::pin(groups::info(ask))),
    put("/access_group/{access_group}/update", ADMIN, |ask| Box::pin(groups::update(ask))),
    remove("/access_group/{access_group}/delete", ADMIN, |ask| Box::pin(groups::delete(ask))),
    post("/credentials", ADMIN, |ask| Box::pin(credentials::new(ask))),
    get("/credentials", WATCH, |ask| Box::pin(credentials::list(ask))),
    get("/credentials/by_name/{*credential_name}", WATCH, |ask| Box::pin(credentials::by_name(ask))),
    get("/credentials/by_model/{model_id}", WATCH, |ask| Box::pin(credentials::by_model(ask))),
    patch("/credentials/{*credential_name}", ADMIN, |ask| Box::pin(credentials::update(ask))),
    remove("/credentials/{*credential_name}", ADMIN, |ask| Box::pin(credentials::delete(ask))),
    // What models cost.
    post("/reload/model_cost_map", ADMIN, |ask| Box::pin(cost_map::reload(ask))),
    post("/schedule/model_cost_map_reload", ADMIN, |ask| Box::pin(cost_map::schedule(ask))),
    remove("/schedule/model_cost_map_reload", ADMIN, |ask| Box::pin(cost_map::cancel(ask))),
    get("/schedule/model_cost_map_reload/status", WATCH, |ask| Box::pin(cost_map::status(ask))),
    get("/model/cost_map/source", WATCH, |ask| Box::pin(cost_map::source(ask))),
    // The cache of answers.
    get("/cache/ping", ADMIN, |ask| Box::pin(cache::ping(ask))),
    post("/cache/delete", ADMIN, |ask| Box::pin(cache::delete(ask))),
    post("/cache/flushall", ADMIN, |ask| Box::pin(cache::flush(ask))),
    get("/cache/redis/info", ADMIN, |ask| Box::pin(cache::info(ask))),
    get("/cache/settings", WATCH, |ask| Box::pin(cache::show(ask))),
    post("/cache/settings", ADMIN, |ask| Box::pin(cache::update(ask))),
    remove("/cache/settings", ADMIN, |ask| Box::pin(cache::drop_stored(ask))),
    post("/cache/settings/test", ADMIN, |ask| Box::pin(cache::test(ask))),
    // Whom the gateway tells of what goes on.
    get("/health/services", WATCH, |ask| Box::pin(services::test(ask))),
    // What was spent.
    get("/global/spend", WATCH, |ask| Box::pin(reports::spend(ask))),
    get("/global/spend/logs", WATCH, |ask| Box::pin(reports::spend_by_day(ask))),
    get("/global/spend/keys", WATCH, |ask| Box::pin(reports::keys(ask))),
    get("/global/spend/teams", WATCH, |ask| Box::pin(reports::teams(ask))),
    get("/global/spend/models", WATCH, |ask| Box::pin(reports::models(ask))),
    get("/global/spend/provider", WATCH, |ask| Box::pin(reports::providers(ask))),
    get("/global/spend/tags", WATCH, |ask| Box::pin(reports::spend_per_tag(ask))),
    post("/global/spend/end_users", WATCH, |ask| Box::pin(reports::end_users(ask))),
    get("/global/spend/report", WATCH, |ask| Box::pin(reports::report(ask))),
    get("/global/activity", WATCH, |ask| Box::pin(reports::activity(ask))),
    get("/global/activity/model", WATCH, |ask| Box::pin(reports::activity_of_models(ask))),
    get("/global/activity/cache_hits", WATCH, |ask| Box::pin(reports::cache_hits(ask))),
    get("/spend/logs", LOOK, |ask| Box::pin(reports::logs(ask))),
    get("/spend/logs/v2", LOOK, |ask| Box::pin(reports::pages(ask))),
    post("/spend/calculate", LOOK, |ask| Box::pin(reports::calculate(ask))),
    get("/spend/tags", WATCH, |ask| Box::pin(reports::tags(ask))),
    get("/user/daily/activity", LOOK, |ask| Box::pin(reports::by_user(ask))),
    get("/team/daily/activity", LOOK, |ask| Box::pin(reports::by_team(ask))),
    get("/organization/daily/activity", WATCH, |ask| Box::pin(reports::by_organization(ask))),
    get("/customer/daily/activity", WATCH, |ask| Box::pin(reports::by_customer(ask))),
    get("/tag/daily/activity", WATCH, |ask| Box::pin(reports::by_tag(ask))),
    // Who changed what.
    get("/audit", WATCH, |ask| Box::pin(audit::list(ask))),
    get("/audit/{id}", WATCH, |ask| Box::pin(audit::info(ask))),
];

/// What the bodies of routes are, where they are those of a table.
pub const BODIES: &[(&str, &Table)] = &[
    ("/key/generate", &KEY),
    ("/key/service-account/generate", &KEY),
    ("/key/update", &KEY),
    ("/key/regenerate", &KEY),
    ("/key/{key}/regenerate", &KEY),
    ("/team/new", &TEAM),
    ("/team/update", &TEAM),
    ("/user/new", &USER),
    ("/user/update", &USER),
    ("/organization/new", &ORGANIZATION),
    ("/organization/update", &ORGANIZATION),
    ("/project/new", &PROJECT),
    ("/project/update", &PROJECT),
    ("/customer/new", &CUSTOMER),
    ("/customer/update", &CUSTOMER),
    ("/end_user/new", &CUSTOMER),
    ("/end_user/update", &CUSTOMER),
    ("/budget/new", &BUDGET),
    ("/budget/update", &BUDGET),
    ("/tag/new", &TAG),
    ("/tag/update", &TAG),
    ("/model/new", &MODEL),
    ("/model/update", &MODEL),
    ("/model/{model_id}/update", &MODEL),
    ("/credentials", &CREDENTIAL),
    ("/credentials/{*credential_name}", &CREDENTIAL),
];

const fn post(path: &'static str, access: Access, act: Act) -> Route {
    Route { method: Method::POST, path, access, act }
}

const fn get(path: &'static str, access: Access, act: Act) -> Route {
    Route { method: Method::GET, path, access, act }
}

const fn patch(path: &'static str, access: Access, act: Act) -> Route {
    Route { method: Method::PATCH, path, access, act }
}

const fn put(path: &'static str, access: Access, act: Act) -> Route {
    Route { method: Method::PUT, path, access, act }
}

const fn remove(path: &'static str, access: Access, act: Act) -> Route {
    Route { method: Method::DELETE, path, access, act }
}
