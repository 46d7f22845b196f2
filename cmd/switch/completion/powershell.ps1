# Completion of switch and mswitch for PowerShell. As switch is a word of
# PowerShell, type mswitch, or "& switch".
Register-ArgumentCompleter -Native -CommandName mswitch, switch -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $typed = @($commandAst.CommandElements |
        Where-Object { $_.Extent.EndOffset -le $cursorPosition } |
        ForEach-Object { $_.Extent.Text })
    $command = $typed[0]
    $words = @($typed | Select-Object -Skip 1)
    # What becomes of an empty argument depends on the version: say it by a flag.
    $new = if ($wordToComplete) { '--new=false' } else { '--new' }
    & $command __complete $new -- @words 2>$null | ForEach-Object {
        $word, $means = $_ -split "`t", 2
        if (-not $means) { $means = $word }
        [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $means)
    }
}
