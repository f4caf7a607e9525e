use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

use super::Agent;
use crate::context::{Outcome, Output};
use crate::exec::builtin::entry::{Builtin, Call, Effect, Part};
use crate::failure::Failure;

/// The first pause between two questions whether the program has ended. It doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// The most bytes of standard input: it travels in one message.
const MOST_INPUT: usize = 32 << 20;

pub(in crate::exec::builtin) const EXEC: Builtin = Builtin {
    name: "exec",
    forms: &[&[Part::Flag("--stdin", "FILE"), Part::Program]],
    summary: "run a program in the guest (guest agent)",
    help: "Prints what the program printed, once it has ended; it fails if the program does. The words are split as in a\n\
           shell, but no shell runs them: :exec sh -c 'echo $HOME'. The agent keeps at most 16 MiB of output.\n\
           `qmpsh -N ADDRESS :exec COMMAND…` ends with the program's exit status, 128+N after signal N, or 255 if\n\
           something else failed.",
    run: |call| Box::pin(exec(call)),
};

#[derive(Deserialize)]
struct Started {
    pid: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Status {
    exited: bool,
    exitcode: Option<i64>,
    signal: Option<u8>,
    out_data: Option<String>,
    err_data: Option<String>,
    #[serde(default)]
    out_truncated: bool,
    #[serde(default)]
    err_truncated: bool,
}

async fn exec(call: &Call<'_>) -> Result<Effect, Failure> {
    let mut words = words(call)?.into_iter().peekable();
    let mut stdin = None;
    if words.next_if_eq("--stdin").is_some() {
        stdin = Some(words.next().ok_or_else(|| call.usage())?);
    }
    let program = words.next().ok_or_else(|| call.usage())?;
    let agent = Agent::of(call.context)?;
    let mut arguments = json!({
        "path": program,
        "arg": words.collect::<Vec<_>>(),
        "capture-output": true,
    });
    if let Some(path) = stdin {
        arguments["input-data"] = STANDARD.encode(read(&path)?).into();
    }
    let Started { pid } = agent.call("guest-exec", &arguments).await?;
    let mut pause = FIRST_PAUSE;
    let status = loop {
        let status: Status = agent
            .call("guest-exec-status", &json!({"pid": pid}))
            .await?;
        if status.exited {
            break status;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    };
    let cut = status.out_truncated || status.err_truncated;
    let failure = match (status.signal, status.exitcode) {
        _ if cut => Some(Failure::Failed(
            "the output is not complete: the agent keeps only the first 16 MiB".to_owned(),
        )),
        (Some(signal), _) => Some(Failure::Program {
            what: format!("`{program}` was ended by signal {signal}"),
            status: signal.saturating_add(128),
        }),
        (None, Some(code)) if code != 0 => Some(Failure::Program {
            what: format!("`{program}` ended with status {code}"),
            status: u8::try_from(code).unwrap_or(u8::MAX),
        }),
        _ => None,
    };
    Ok(Effect::Done(Outcome {
        output: Output::Program {
            stdout: decoded(status.out_data)?,
            stderr: decoded(status.err_data)?,
        },
        failure,
    }))
}

/// The words of the program's command line.
fn words(call: &Call<'_>) -> Result<Vec<String>, Failure> {
    let line = &call.line.words;
    let words = match line.given() {
        // The words of our own command line are words already.
        Some(words) => words.map(str::to_owned).collect(),
        None => shell_words::split(line.text()).map_err(|_| {
            Failure::Usage("a quote is not closed, or nothing follows a backslash".to_owned())
        })?,
    };
    // After that, so that whatever a variable has stays in its word.
    let word = |word: &String| line.with_values(word, |text| Ok(text.to_owned()));
    let words: Result<Vec<_>, _> = words.iter().map(word).collect();
    words.map_err(|error| Failure::syntax_of(error, line))
}

fn read(path: &str) -> Result<Vec<u8>, Failure> {
    let cannot = |why: String| Failure::Local(format!("cannot read {path}: {why}"));
    let bytes = std::fs::read(path).map_err(|error| cannot(error.to_string()))?;
    if bytes.len() > MOST_INPUT {
        let most = MOST_INPUT >> 20;
        return Err(cannot(format!(
            "standard input may have at most {most} MiB; `:put` it into a file"
        )));
    }
    Ok(bytes)
}

fn decoded(data: Option<String>) -> Result<Vec<u8>, Failure> {
    let data = data.unwrap_or_default();
    STANDARD.decode(data).map_err(|error| {
        Failure::Failed(format!("the agent sent output that is not base64: {error}"))
    })
}
