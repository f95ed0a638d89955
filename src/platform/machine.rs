//! What goes on on this machine: who listens, what is mounted, what runs, how much memory there is. Linux tells it in
//! `/proc`, macOS by its commands; both are read by the pure functions below. What is not told is `None` or empty.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

pub const MACOS: bool = cfg!(target_os = "macos");

/// A socket that is listened at. Whose it is can be seen of one's own processes only, or by root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    pub address: SocketAddr,
    pub owner: Option<Process>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    /// The command line, or the program's name where that is all that is told.
    pub command: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub point: PathBuf,
    /// `ext4`, `apfs`, `nfs4` …
    pub kind: String,
}

/// Who listens at a port of TCP.
pub fn listeners(port: u16) -> Vec<Listener> {
    if MACOS {
        let port = format!("-iTCP:{port}");
        return lsof(&output("lsof", &["-nP", &port, "-sTCP:LISTEN", "-Fpcn"]).unwrap_or_default());
    }
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let mut sockets = proc_net_tcp(&read("/proc/net/tcp"), port);
    sockets.extend(proc_net_tcp(&read("/proc/net/tcp6"), port));
    sockets.into_iter().map(|(address, inode)| Listener { address, owner: owner(inode) }).collect()
}

/// All processes that this user may see.
pub fn processes() -> Vec<Process> {
    if MACOS {
        return ps(&output("ps", &["-axo", "pid=,args="]).unwrap_or_default());
    }
    pids().into_iter().filter_map(process).collect()
}

/// The environment that a process was started with.
pub fn environment(pid: u32) -> Option<BTreeMap<String, String>> {
    let text = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    Some(text.split('\0').filter_map(|pair| pair.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect())
}

/// The most files that a process may have open, as it is limited now.
pub fn open_files_max(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let soft = line.split_whitespace().next()?;
    if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
}

/// The file system that a path is on.
pub fn mount(path: &Path) -> Option<Mount> {
    let mounts = match MACOS {
        true => macos_mounts(&output("mount", &[])?),
        false => proc_mounts(&fs::read_to_string("/proc/self/mounts").ok()?),
    };
    mounts.into_iter().filter(|mount| path.starts_with(&mount.point)).max_by_key(|mount| mount.point.as_os_str().len())
}

/// All of the machine's memory, in bytes.
pub fn memory() -> Option<u64> {
    if MACOS {
        return output("sysctl", &["-n", "hw.memsize"])?.trim().parse().ok();
    }
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let kib: u64 =
        text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// What this process holds of the machine's memory now, in bytes. Only Linux tells it without another process.
pub fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let kib: u64 =
        text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// What a container or a service may take of it (cgroups), in bytes: the least of the limits above this process.
pub fn memory_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?.trim_start_matches('/').to_owned();
    let root = Path::new("/sys/fs/cgroup");
    let limits = Path::new(&own)
        .ancestors()
        .filter_map(|group| fs::read_to_string(root.join(group).join("memory.max")).ok()?.trim().parse::<u64>().ok());
    limits.min()
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let done = Command::new(program).args(arguments).env("LC_ALL", "C").output().ok()?;
    Some(String::from_utf8_lossy(&done.stdout).into_owned())
}

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn process(pid: u32) -> Option<Process> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
    (!command.is_empty()).then_some(Process { pid, command })
}

fn owner(inode: u64) -> Option<Process> {
    let socket = format!("socket:[{inode}]");
    let has = |pid: &u32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.into_iter().any(|entry| fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str() == socket.as_str()))
    };
    process(pids().into_iter().find(has)?)
}

/// Listening sockets of `/proc/net/tcp` and `tcp6` at a port, and their inodes.
fn proc_net_tcp(text: &str, port: u16) -> Vec<(SocketAddr, u64)> {
    /// The state of a socket that is listened at (include/net/tcp_states.h).
    const LISTEN: &str = "0A";
    let socket = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (words.get(1)?, words.get(3)?, words.get(9)?);
        let (ip, at) = local.split_once(':')?;
        let at = u16::from_str_radix(at, 16).ok().filter(|at| *at == port && *state == LISTEN)?;
        Some((SocketAddr::new(hex_ip(ip)?, at), inode.parse().ok()?))
    };
    text.lines().filter_map(socket).collect()
}

/// Words of 32 bits in the machine's own order.
fn hex_ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at * 8)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

/// lsof's lines for programs: `p` and a process, `c` and its name, `n` and an address.
fn lsof(text: &str) -> Vec<Listener> {
    let (mut pid, mut command, mut found) = (0, String::new(), Vec::new());
    for line in text.lines() {
        let Some((mark, rest)) = line.split_at_checked(1) else { continue };
        match mark {
            "p" => pid = rest.parse().unwrap_or(0),
            "c" => command = rest.to_owned(),
            "n" => {
                let owner = Some(Process { pid, command: command.clone() });
                let address = rest.replace('*', "0.0.0.0").parse();
                found.extend(address.map(|address| Listener { address, owner }));
            }
            _ => {}
        }
    }
    found
}

fn ps(text: &str) -> Vec<Process> {
    let process = |line: &str| {
        let (pid, command) = line.trim_start().split_once(' ')?;
        Some(Process { pid: pid.parse().ok()?, command: command.trim().to_owned() })
    };
    text.lines().filter_map(process).collect()
}

/// `device point kind options 0 0`, blanks in a point as `\040`.
fn proc_mounts(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let point = words.next()?.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\");
        Some(Mount { point: PathBuf::from(point), kind: words.next()?.to_owned() })
    };
    text.lines().filter_map(mount).collect()
}

/// `device on point (kind, options)`
fn macos_mounts(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (_, rest) = line.split_once(" on ")?;
        let (point, options) = rest.rsplit_once(" (")?;
        let kind = options.split([',', ')']).next()?.to_owned();
        Some(Mount { point: PathBuf::from(point), kind })
    };
    text.lines().filter_map(mount).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_is_read_of_both_systems() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                    0: 0100007F:0C45 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 4711 1 0 100\n   \
                    1: 0100007F:0C45 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000  0 4712 1 0 100\n   \
                    2: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0  0 4713 1 0 100\n";
        if cfg!(target_endian = "little") {
            assert_eq!(proc_net_tcp(text, 3141), [("127.0.0.1:3141".parse().unwrap(), 4711)]);
            let six = "x: 00000000000000000000000001000000:0C45 0:0 0A x x x 0 0 9 1";
            assert_eq!(proc_net_tcp(six, 3141), [("[::1]:3141".parse().unwrap(), 9)]);
        }
        assert_eq!(proc_net_tcp("garbage\n0: x:y z", 3141), []);
        let owner = |pid, command: &str| Some(Process { pid, command: command.to_owned() });
        let at = |text: &str| text.parse().unwrap();
        assert_eq!(
            lsof("p12\ncpython3.11\nf7\nn127.0.0.1:3141\np13\ncnginx\nf6\nn*:3141\nf8\nn[::1]:3141\n"),
            [
                Listener { address: at("127.0.0.1:3141"), owner: owner(12, "python3.11") },
                Listener { address: at("0.0.0.0:3141"), owner: owner(13, "nginx") },
                Listener { address: at("[::1]:3141"), owner: owner(13, "nginx") },
            ]
        );
    }

    #[test]
    fn mounts_and_processes_are_read_of_both_systems() {
        let mount = |point: &str, kind: &str| Mount { point: PathBuf::from(point), kind: kind.to_owned() };
        assert_eq!(
            proc_mounts("/dev/sda1 / ext4 rw 0 0\nhost:/x /mnt/a\\040b nfs4 rw 0 0\n"),
            [mount("/", "ext4"), mount("/mnt/a b", "nfs4")]
        );
        assert_eq!(
            macos_mounts("/dev/disk3s1 on / (apfs, sealed, local)\n//u@h/s on /Volumes/a b (smbfs, nodev)\n"),
            [mount("/", "apfs"), mount("/Volumes/a b", "smbfs")]
        );
        let found = ps("    1 /sbin/launchd\n  501 python3 devpi-server --port 3141\n");
        assert_eq!(found.last(), Some(&Process { pid: 501, command: "python3 devpi-server --port 3141".to_owned() }));
    }

    #[test]
    fn this_machine_tells_of_itself() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = listeners(listener.local_addr().unwrap().port());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].owner.as_ref().map(|owner| owner.pid), Some(std::process::id()));
        assert!(memory().is_some_and(|bytes| bytes > 1 << 28) && mount(Path::new("/tmp")).is_some());
        assert!(MACOS || resident().is_some_and(|bytes| (1 << 20..1 << 40).contains(&bytes)), "{:?}", resident());
        assert!(processes().iter().any(|process| process.pid == std::process::id()));
    }
}
