//! Starting commands, capturing what they print, ending them with everything they started.
