//! `shop demo` and `shop run`: the bundled shop on four services of its own.

fn main() -> anyhow::Result<()> {
    bespoke_tests::shop::program::main()
}
