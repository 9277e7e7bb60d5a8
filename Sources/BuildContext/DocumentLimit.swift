/// How large documents of builds may be, for whoever writes and for whoever reads them.
package enum DocumentLimit {
    package static let cache = 8 << 20
    package static let lockFile = 4 << 20
}
