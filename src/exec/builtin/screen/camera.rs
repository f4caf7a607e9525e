//! Takes pictures of the guest's display, as QEMU writes them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::context::Context;
use crate::exec::query::{in_time, query};
use crate::failure::Failure;
use crate::qmp::{Client, Request};
use crate::render::Picture;

const ADD: &str = "add-fd";

/// What a set of descriptors may have as its number. Those that people choose are smaller.
const SETS: std::ops::Range<i32> = 1 << 16..i32::MAX;

/// A file to which QEMU writes one picture after the other. All share one descriptor, since QEMU may keep it after it was
/// told to remove it: as long as the VM is stopped. Dropping this removes the file.
pub(super) struct Camera<'a> {
    context: &'a Context,
    /// Where to read the file.
    reader: File,
    /// Where QEMU writes it. The position is shared with QEMU, if that has this descriptor.
    writer: File,
    /// What QEMU calls the file.
    filename: Value,
    set: Option<DescriptorSet>,
    _directory: TempDir,
}

impl<'a> Camera<'a> {
    /// Makes the file, and passes its descriptor to QEMU if the connection can do that.
    ///
    /// # Errors
    ///
    /// There is no connection, QEMU does not answer, or the file cannot be made.
    pub async fn new(context: &'a Context) -> Result<Self, Failure> {
        let Some(client) = context.target.session.client() else {
            return Err(context.target.not_connected());
        };
        // In a directory of its own: where everybody may write, a QEMU of another user may not write to our files, even
        // if it runs as root.
        let directory = tempfile::tempdir().map_err(|error| cannot_use(&error))?;
        let path = directory.path().join("screen.ppm");
        let open = |options: &mut OpenOptions| options.open(&path).map_err(|e| cannot_use(&e));
        // QEMU uses only a descriptor that can do no more than it needs.
        let writer = open(OpenOptions::new().write(true).create_new(true))?;
        let reader = open(OpenOptions::new().read(true))?;
        let set = match client.can_carry(ADD, 1) {
            Ok(()) => {
                let passed = writer.try_clone().map_err(|error| cannot_use(&error))?;
                DescriptorSet::pass(context, client, passed.into()).await?
            }
            Err(_) => None,
        };
        Ok(Self {
            context,
            reader,
            writer,
            filename: match &set {
                Some(set) => json!(format!("/dev/fdset/{}", set.id)),
                None => json!(path),
            },
            set,
            _directory: directory,
        })
    }

    /// Takes a picture. QEMU writes a PPM, which every version can do, and at less expense than a PNG: the guest waits
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// There is no display, or QEMU cannot write the picture.
    pub async fn take(&mut self) -> Result<Picture, Failure> {
        self.empty().map_err(|error| cannot_use(&error))?;
        let arguments = json!({"filename": self.filename});
        query(self.context, "screendump", Some(arguments)).await?;
        let mut reader = self
            .reader
            .try_clone()
            .map_err(|error| cannot_use(&error))?;
        let read = spawn_blocking(move || {
            let mut ppm = Vec::new();
            reader.rewind()?;
            reader.read_to_end(&mut ppm)?;
            Ok(Picture::from_ppm(ppm))
        });
        let read = read
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        let picture = read.map_err(|error| cannot_use(&error))?;
        picture.ok_or_else(|| Failure::Local("QEMU has not written a whole picture".to_owned()))
    }

    fn empty(&mut self) -> io::Result<()> {
        self.writer.set_len(0)?;
        self.writer.rewind()
    }

    /// Takes the descriptor back from QEMU, and waits until that is done.
    pub async fn put_away(mut self) {
        if let Some(set) = self.set.take() {
            set.remove(self.context).await;
        }
    }
}

impl Drop for Camera<'_> {
    fn drop(&mut self) {
        // If QEMU keeps the descriptor, the picture still takes no room.
        let _ = self.empty();
    }
}

fn cannot_use(error: &io::Error) -> Failure {
    Failure::Local(format!("cannot use a temporary file: {error}"))
}

/// A descriptor that QEMU holds for us, in a set that has a number. Dropping this removes it.
struct DescriptorSet {
    id: i32,
    client: Option<Arc<Client>>,
}

impl DescriptorSet {
    /// Passes a descriptor. `None` if QEMU takes none.
    ///
    /// # Errors
    ///
    /// QEMU does not answer.
    async fn pass(
        context: &Context,
        client: Arc<Client>,
        descriptor: OwnedFd,
    ) -> Result<Option<Self>, Failure> {
        // The number is our choice, so that the set can be removed even if the reply does not come.
        let id = fastrand::i32(SETS);
        let set = Self {
            id,
            client: Some(client.clone()),
        };
        let mut request = Request::with(ADD, &json!({"fdset-id": id})).quietly();
        request.descriptors = vec![descriptor];
        let reply = in_time(context, ADD, client.send(request)?).await?;
        Ok((!reply.failed()).then_some(set))
    }

    /// Removes it, and waits until that is done.
    async fn remove(mut self, context: &Context) {
        if let Some(client) = self.client.take()
            && let Ok(pending) = client.send(self.removal())
        {
            let _ = in_time(context, "remove-fd", pending).await;
        }
    }

    fn removal(&self) -> Request {
        Request::with("remove-fd", &json!({"fdset-id": self.id})).quietly()
    }
}

impl Drop for DescriptorSet {
    fn drop(&mut self) {
        // The line was interrupted, so nobody waits for the reply.
        if let Some(client) = self.client.take() {
            let _ = client.send(self.removal());
        }
    }
}
