/// A capture file that can't be used, or can't be written.
public struct CaptureError: Error, Hashable, CustomStringConvertible {
    /// The path, where in it, and what is wrong.
    public let description: String

    /// An error with its sentence.
    public init(_ description: String) { self.description = description }
}
