//! The `stepfn` command.

fn main() -> std::process::ExitCode {
    stepfn::cli::main()
}
