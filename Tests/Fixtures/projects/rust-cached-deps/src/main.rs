fn main() {
    println!("rust {}", env!("CARGO_PKG_VERSION"));
}
