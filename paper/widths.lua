-- Columns as wide as what they hold: pandoc would take the width of the dashes in the source.
function Table(one)
  for _, spec in ipairs(one.colspecs) do
    spec[2] = nil
  end
  return one
end
