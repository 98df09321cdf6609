//! Three gateways that share a database and a Redis: their limits and budgets are one, whatever becomes of Redis or of
//! one of them.

mod cluster;
mod deaths;
mod loads;
mod outages;
mod places;
mod rates;
mod scene;
mod sentinels;
mod set;
mod wall;
