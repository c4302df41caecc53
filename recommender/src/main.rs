//! `recommender serve | migrate | train | evaluate | factorise | als | nearest | intent | lifetime`.

fn main() -> anyhow::Result<()> {
    recommender::program::main()
}
