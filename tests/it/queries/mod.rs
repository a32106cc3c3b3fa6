//! Queries: whoever asks sees the rows that policies show them, and nothing tells of the others.

mod eviction;
mod generator;
mod kinds;
mod leaks;
mod misfit;
mod revoked;
mod two_worlds;
mod world;
