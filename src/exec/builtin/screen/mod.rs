//! `:screen`: the guest's display.

mod camera;
mod still;

use std::sync::Arc;

use tokio::task::spawn_blocking;

use camera::Camera;

use super::entry::{Builtin, Call, Effect, Part};
use super::new_file::NewFile;
use crate::context::{Context, Output};
use crate::failure::Failure;
use crate::render::{Picture, clip};

pub(super) const SCREEN: Builtin = Builtin {
    name: "screen",
    forms: &[
        &[],
        &[
            Part::Word(&["wait"]),
            Part::Flag("--still", "SECS"),
            Part::Flag("--timeout", "SECS"),
        ],
        &[Part::File],
    ],
    summary: "show the guest's display, save it, or wait until it stands still",
    help: "At a terminal with colours. The terminal is asked once whether it has kitty's graphics protocol or sixels; an answer\n\
           that takes longer than a second counts for the next picture. Without either (tmux shows none of kitty's), the\n\
           picture is drawn with half blocks, in 24-bit colours if COLORTERM says so.\n\
           FILE is a PNG or a PPM, as its name says, and appears once it is whole.\n\
           wait: until the picture has not changed for 2 seconds, or the time that --still gives. A blinking cursor, or\n\
           another change no larger than a character, does not count. Without --timeout, the limit for replies applies.\n\
           Through a Unix socket, QEMU is passed a descriptor to write to. Otherwise it must be able to write to a\n\
           temporary file of this user on this machine.",
    run: |call| Box::pin(screen(call)),
};

/// What a picture is saved as.
#[derive(Clone, Copy)]
enum Format {
    Png,
    Ppm,
}

impl Format {
    /// What the name of a file says.
    fn of(path: &str) -> Option<Self> {
        let (_, extension) = path.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "png" => Some(Self::Png),
            "ppm" => Some(Self::Ppm),
            _ => None,
        }
    }
}

async fn screen(call: &Call<'_>) -> Result<Effect, Failure> {
    let context = call.context;
    if call.line.words.first() == Some("wait") {
        return still::wait(call).await;
    }
    match &call.args()?[..] {
        [] => show(context).await,
        [path] => save(context, path).await,
        _ => Err(call.usage()),
    }
}

async fn show(context: &Context) -> Result<Effect, Failure> {
    let style = context.settings().style;
    if !style.terminal || !style.color {
        let why = "a picture needs a terminal with colours; `:screen FILE.png` saves it";
        return Err(Failure::Usage(why.to_owned()));
    }
    let picture = take(context).await?;
    Ok(Output::Picture(Arc::new(picture)).into())
}

async fn save(context: &Context, path: &str) -> Result<Effect, Failure> {
    let Some(format) = Format::of(path) else {
        return Err(Failure::Usage(format!(
            "the name of a picture ends in .png or .ppm, which `{path}` does not"
        )));
    };
    let mut file = NewFile::create(path)?;
    let picture = take(context).await?;
    let (width, height) = picture.size();
    let encoded = spawn_blocking(move || encode(&picture, format)).await;
    file.write(&encoded.unwrap_or_else(|error| Err(Failure::Local(error.to_string())))?)?;
    file.keep()?;
    Ok(Output::notice(format!("{width}×{height} pixels saved in {}", clip(path))).into())
}

/// Takes one picture.
async fn take(context: &Context) -> Result<Picture, Failure> {
    let mut camera = Camera::new(context).await?;
    let picture = camera.take().await;
    camera.put_away().await;
    picture
}

fn encode(picture: &Picture, format: Format) -> Result<Vec<u8>, Failure> {
    match format {
        Format::Ppm => Ok(picture.to_ppm()),
        Format::Png => picture
            .to_png()
            .map_err(|error| Failure::Local(format!("cannot make a PNG of the picture: {error}"))),
    }
}
