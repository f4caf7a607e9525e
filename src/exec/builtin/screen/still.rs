//! `:screen wait`.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::camera::Camera;
use crate::context::Output;
use crate::exec::builtin::conditions::take_option;
use crate::exec::builtin::entry::{Call, Effect, time};
use crate::exec::builtin::wait::{limit, within};
use crate::failure::Failure;
use crate::render::Picture;

/// How long the picture must stand still by default.
const STILL: Duration = Duration::from_secs(2);

/// How long it is from one picture to the next, at the least and at the most.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_millis(500);

/// The largest change that may be a blinking cursor, in pixels: a character of a large font.
const CURSOR: (usize, usize) = (16, 32);

pub(super) async fn wait(call: &Call<'_>) -> Result<Effect, Failure> {
    let mut words = call.line.words.clone();
    let limit = limit(call, &mut words)?;
    let still = match take_option(&mut words, "--still")? {
        Some(text) => time(&text)?,
        None => STILL,
    };
    let mut camera = Camera::new(call.context).await?;
    let stood = within(limit, stand_still(&mut camera, still)).await;
    camera.put_away().await;
    match stood {
        Some(stood) => stood.map(|()| Output::nothing().into()),
        None => Err(Failure::NotInTime {
            what: format!(
                "the screen has not stood still for {} s",
                still.as_secs_f64()
            ),
            limit: limit.unwrap_or_default(),
        }),
    }
}

/// Waits until all pictures of this long show the same.
async fn stand_still(camera: &mut Camera<'_>, still: Duration) -> Result<(), Failure> {
    let mut first = camera.take().await?;
    let mut since = Instant::now();
    loop {
        let rest = still.saturating_sub(since.elapsed());
        sleep(rest.clamp(SHORTEST, LONGEST)).await;
        let asked = Instant::now();
        let next = camera.take().await?;
        if !show_the_same(&first, &next) {
            (first, since) = (next, Instant::now());
        } else if asked - since >= still {
            return Ok(());
        }
    }
}

/// Whether two pictures differ by a blinking cursor at most.
fn show_the_same(one: &Picture, other: &Picture) -> bool {
    let difference = one.difference(other);
    difference.is_some_and(|(columns, rows)| columns <= CURSOR.0 && rows <= CURSOR.1)
}
