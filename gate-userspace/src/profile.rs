//! How callers of one route identify themselves, and what refusals look like to them.
