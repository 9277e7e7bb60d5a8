fn main() {
    println!("rust static");
}
