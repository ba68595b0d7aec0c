//! One upstream as a process of its own, so that it can be killed: answers every request with the same few bytes, over plain HTTP on loopback.

use crate::Failed;
use std::io::Write;
use std::net::SocketAddr;

/// Serves on this address, prints where once it listens, and ends with its process.
///
/// # Errors
/// When the address cannot be had.
pub async fn serve(address: SocketAddr) -> Result<(), Failed> {
    let bound = crate::upstream::start_on(address).await?;
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{bound}")?;
        out.flush()?;
    }
    // Whoever started it holds the other end of standard input: when that process is gone, so is this one.
    let ended = || std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    tokio::task::spawn_blocking(ended).await??;
    Ok(())
}
