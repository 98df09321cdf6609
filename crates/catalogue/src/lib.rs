//! What is known about providers and models, as data.
