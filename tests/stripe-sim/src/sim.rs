//! A running simulator: a listener, the server and the background worker, all ended with it.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::control::Control;
use crate::options::Options;
use crate::{deliver, server};

/// A simulator on a port of the loopback address. It stops when this is dropped; `stop` also waits for its end.
pub struct StripeSim {
    control: Control,
    address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

impl StripeSim {
    /// Starts a simulator.
    ///
    /// # Errors
    /// The port cannot be had.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((options.address, options.port)).await?;
        let address = listener.local_addr()?;
        let control = Control::new(&options, &format!("http://{address}"));
        let shared = control.shared.clone();
        let tasks = vec![
            tokio::spawn(server::serve(listener, control.app(), shared.clone())),
            tokio::spawn(deliver::run(shared)),
        ];
        Ok(Self {
            control,
            address,
            tasks,
        })
    }

    /// Where it is reached, without a slash at the end: `http://127.0.0.1:12111`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its inside: clock, faults, webhooks, records.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Stops it and waits until every task has ended.
    pub async fn stop(mut self) {
        self.control.shared.stopped.cancel();
        for task in std::mem::take(&mut self.tasks) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the simulator failed");
            }
        }
    }
}

impl Drop for StripeSim {
    fn drop(&mut self) {
        self.control.shared.stopped.cancel();
    }
}
