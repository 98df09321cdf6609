//! Turns a call into HTTP for one deployment, and the answer into a reply.
