//! What dies, and what is in the ledger afterwards: every attempt that reached the provider once, exactly or with a
//! bound that holds.

mod check;
mod full;
mod gone;
mod kills;
mod load;
mod replicas;
mod starts;
mod stops;
mod streams;
mod torn;
mod uncounted;
