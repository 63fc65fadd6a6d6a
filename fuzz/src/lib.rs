//! What the fuzz targets try: the laws that supd-core's property tests try too.

#[path = "../../supd-core/tests/laws/mod.rs"]
pub mod laws;
