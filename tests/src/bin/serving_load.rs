//! Load on `Recommend` over gRPC: one recommender of its own on 127.0.0.1, filled, trained, measured, ended.

fn main() -> anyhow::Result<()> {
    bespoke_tests::serving::main()
}
