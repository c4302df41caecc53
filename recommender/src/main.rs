//! `recommender serve | migrate | train | evaluate | factorise | intent | lifetime`.

fn main() -> anyhow::Result<()> {
    recommender::program::main()
}
