//! Why a command did not do its work, and the exit code that says so.

use std::fmt::Write as _;

use std::fmt;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Why a command did not do its work.
#[derive(Debug)]
pub enum Failure {
    /// The gateway said no, or refused some rows.
    Refused(String),
    /// The arguments or the file do not make sense.
    Usage(String),
    /// Nobody answers.
    Unreachable(String),
}

impl Failure {
    /// The process's exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) | Self::Usage(why) => out.write_str(why),
            Self::Unreachable(why) => {
                write!(out, "{why}\nIs the gateway running? `make run` starts one; --gateway says where.")
            }
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        if status.code() == Code::Unavailable {
            return Self::Unreachable(status.message().to_owned());
        }
        let reason = chassis::error::reason(&status).map(|reason| format!(" ({reason})")).unwrap_or_default();
        let mut text = format!("{:?}: {}{reason}", status.code(), status.message());
        for violation in
            status.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default()
        {
            let _ = write!(text, "\n  {}: {}", violation.field, violation.description);
        }
        Self::Refused(text)
    }
}
