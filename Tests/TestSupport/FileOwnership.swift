import Glibc

/// Whose files may be made here.
public enum FileOwnership {
    /// Whether a file can be given to that group: by root, but not by the root of a user namespace that lacks it.
    public static func canGive(toGroup group: UInt32) -> Bool {
        var path = Array("/tmp/mooring-test-XXXXXX".utf8CString)
        let file = mkstemp(&path)
        guard file >= 0 else { return false }
        defer {
            close(file)
            unlink(path)
        }
        return fchown(file, uid_t.max, group) == 0
    }
}
