/// Columns as Docker lays them out: three blanks between, none narrower than ten.
enum Table {
    static func layOut(_ rows: [[String]], narrowest: Int = 10, gap: Int = 3) -> String {
        var widths: [Int] = []
        for row in rows {
            for (column, cell) in row.enumerated() {
                if column == widths.count { widths.append(narrowest) }
                widths[column] = max(widths[column], width(cell) + gap)
            }
        }
        var text = ""
        for row in rows {
            for (column, cell) in row.enumerated() {
                text += cell
                if column < row.count - 1 { text += String(repeating: " ", count: max(0, widths[column] - width(cell))) }
            }
            text += "\n"
        }
        return text
    }

    /// The number of its scalars: of its bytes that do not go on with one.
    private static func width(_ text: String) -> Int { text.utf8.count { $0 & 0xC0 != 0x80 } }
}
