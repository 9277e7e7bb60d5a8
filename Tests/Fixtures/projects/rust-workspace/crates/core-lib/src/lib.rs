pub fn hello() -> &'static str {
    "rust workspace"
}
