//! Public HTTP surface.
