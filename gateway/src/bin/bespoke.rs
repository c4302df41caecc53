//! `bespoke`: the command line, a client of the gateway.

fn main() -> std::process::ExitCode {
    gateway::cli::main()
}
