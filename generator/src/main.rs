//! `generator serve`, `generator migrate`, and the batch tools.

fn main() -> anyhow::Result<()> {
    generator::cli::main()
}
