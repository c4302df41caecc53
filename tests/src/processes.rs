//! The services as they are shipped: one process each, beside this program's own binary.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};

/// A service running as a child process; killed when dropped.
pub struct Process {
    name: &'static str,
    address: String,
    child: Child,
}

impl Process {
    /// Starts `binary serve` with `settings` (each `key=value`), its log going to `log`, and waits
    /// until it listens.
    pub async fn start(binary: &'static str, settings: &[String], log: &Path) -> anyhow::Result<Self> {
        let program = beside_this_program(binary)?;
        let mut command = Command::new(&program);
        command.arg("serve").args(["--set", "telemetry.format=json"]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let stderr = child.stderr.take().context("the child has no standard error")?;
        let address =
            listening(stderr, log).await.with_context(|| format!("{binary}: see {}", log.display()))?;
        Ok(Self { name: binary, address, child })
    }

    /// Where it listens: `127.0.0.1:41234`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The same as a URI for a client.
    pub fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it the hard way, as a lost machine would.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("{} cannot be killed", self.name))
    }

    /// Asks it to stop and waits for its drain, 15 s at most.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let id = self.child.id().context("it has ended by itself")?;
        let asked = Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        if !asked.success() {
            bail!("{} could not be asked to stop", self.name);
        }
        let ended = tokio::time::timeout(Duration::from_secs(15), self.child.wait()).await;
        let status = ended.with_context(|| format!("{} did not stop", self.name))??;
        if !status.success() {
            bail!("{} ended with {status}", self.name);
        }
        Ok(())
    }
}

/// A binary of this workspace, built into the same folder as the running one.
pub fn beside_this_program(binary: &str) -> anyhow::Result<PathBuf> {
    let mut folder = std::env::current_exe().context("this program has no path")?;
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    let program = folder.join(binary);
    if !program.is_file() {
        bail!("{} is not built: run `cargo build --workspace --bins`", program.display());
    }
    Ok(program)
}

/// Copies the log to `log` and answers with the address in its "listening" line.
async fn listening(stderr: ChildStderr, log: &Path) -> anyhow::Result<String> {
    let mut lines = BufReader::new(stderr).lines();
    let mut file = File::create(log).await.with_context(|| format!("{}", log.display()))?;
    let found = tokio::time::timeout(Duration::from_mins(1), async {
        while let Some(line) = lines.next_line().await? {
            file.write_all(format!("{line}\n").as_bytes()).await?;
            if let Some(address) = address_in(&line) {
                return Ok(address);
            }
        }
        file.flush().await?;
        bail!("it ended before it listened")
    });
    let address = found.await.context("it did not listen within 60 s")??;
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            if file.write_all(format!("{line}\n").as_bytes()).await.is_err() {
                break;
            }
        }
    });
    Ok(address)
}

fn address_in(line: &str) -> Option<String> {
    let entry: serde_json::Value = serde_json::from_str(line).ok()?;
    (entry.get("message")? == "listening")
        .then(|| entry.get("address")?.as_str().map(str::to_owned))
        .flatten()
}
