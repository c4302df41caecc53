//! `gateway serve` and `gateway migrate`.

fn main() -> anyhow::Result<()> {
    gateway::program::main()
}
