//! `evaluator serve`, `evaluator migrate` and the batch tools.

fn main() -> anyhow::Result<std::process::ExitCode> {
    evaluator::program::main()
}
