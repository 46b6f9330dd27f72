// What the daemon begins with, and what it tells checkpoints of its bindings.

import Bindings
import Checkpoint
import Forwarding
import Wire

extension Daemon: CheckpointOrigin {
    func isFromFile(_ id: String) -> Bool { fileBindings.contains(id) }

    func isFromFile(_ id: String, of group: IPv6Address) -> Bool { fileMembers[group]?.contains(id) ?? false }

    /// Takes over what was restored, and reads the binding file over it; before the first packet.
    ///
    /// A file that is still the one that was read before the restart says nothing new: its bindings are what has become of
    /// them since. Another one counts as at a reload.
    func begin(with restored: RestoredBindings) throws {
        if let file = restored.file {
            checkpoints = CheckpointSchedule(
                file, lock: restored.lock, intervalSeconds: configuration.checkpointInterval,
                number: restored.number, of: table, on: eventLoop, logger: logger)
            checkpoints?.origin = self
        }
        if restored.isRestored {
            fileBindings = restored.fileBindings
            fileMembers = restored.fileMembers
            fileDigest = restored.fileDigest
            routeEndpoints()
        }
        guard let path = configuration.bindings else {
            if !fileBindings.isEmpty { _ = try replaceFile(by: BindingFile()) }
            return
        }
        if let fileDigest, fileDigest == CheckpointFileDigest(contentsOf: path) {
            return logger.info("binding file unchanged; its bindings are as they were", metadata: ["file": "\(path)"])
        }
        try loadOverRestored(file: path)
    }

    /// Loads a file that was changed while the daemon was not there. What it names goes before what others put.
    private func loadOverRestored(file path: String) throws {
        while true {
            do {
                return try load(file: path)
            } catch let error as BindingTableError {
                // The file agrees with itself, so whoever is in the way was restored.
                guard let holder = error.holder, table.isBound(holder), remove([holder]) == 1 else { throw error }
                logger.warning(
                    "restored binding removed, since the binding file is at odds with it",
                    metadata: ["id": "\(holder)", "reason": "\(error)"])
            }
        }
    }
}

extension BindingTableError {
    /// Who has what somebody else wants.
    fileprivate var holder: String? {
        switch self {
        case .conflict(_, _, let holder, _), .homeAddressConflict(_, _, let holder): holder
        default: nil
        }
    }
}
