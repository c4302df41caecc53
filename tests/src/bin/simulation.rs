//! `simulation`: the simulated shop's month on the four services, judged; one JSON object on standard output.

fn main() -> anyhow::Result<()> {
    bespoke_tests::simulation::program::main()
}
