//! Every provider of the catalogue through the built gateway: what it is asked, and what its answers become.

mod ask;
mod golden;
mod matrix;
mod rows;
mod seat;
