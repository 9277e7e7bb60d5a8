fn main() {
    println!("{}", core_lib::hello());
}
